/** Runs work on all cores. */

/** What a Worker is told: the input, its number, and how many there are. */
type Task<Input> = [input: Input, share: number, shares: number];

/** The scope of a Worker. */
interface WorkerScope<Input, Output> {
  onmessage: (event: MessageEvent<Task<Input>>) => Promise<void>;
  postMessage(output: Output): void;
}

function isWorker<Input, Output>(
  scope: object,
): scope is WorkerScope<Input, Output> {
  return "postMessage" in scope;
}

/**
 * Returns a function that starts this module in a Worker for each core, where
 * `work` does one share. It must be called at the top level of the module.
 */
export function forAllCores<Input, Output>(
  module: string,
  work: (...task: Task<Input>) => Promise<Output>,
): (input: Input) => Promise<Output[]> {
  const scope: object = globalThis;
  if (isWorker<Input, Output>(scope)) {
    scope.onmessage = async ({ data }) =>
      scope.postMessage(await work(...data));
  }
  const shares = navigator.hardwareConcurrency;
  return async (input) => {
    using workers = new DisposableStack();
    const start = (share: number) => {
      const worker = new Worker(module, { type: "module" });
      workers.defer(() => worker.terminate());
      worker.postMessage([input, share, shares]);
      return new Promise<Output>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(event.message));
        };
      });
    };
    return await Promise.all(
      Array.from({ length: shares }, (_, at) => start(at)),
    );
  };
}
