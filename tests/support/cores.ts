/** Runs work in Workers. */

/** Responds to every message, if this is a Worker. */
export function respond<Input, Output>(
  work: (input: Input) => Promise<Output>,
): void {
  const scope = globalThis as { postMessage?(output: Output): void };
  if (!scope.postMessage) return;
  Object.assign(scope, {
    onmessage: async ({ data }: MessageEvent<Input>) =>
      scope.postMessage?.(await work(data)),
  });
}

/** Sends a message to a Worker, and returns its response or error. */
export function ask<Input, Output>(
  worker: Worker,
  input: Input,
): Promise<Output> {
  worker.postMessage(input);
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
  });
}

/**
 * Returns a function that starts this module in a Worker for each core, where
 * `work` does one share. It must be called at the top level of the module.
 */
export function forAllCores<Input, Output>(
  module: string,
  work: (input: Input, share: number, shares: number) => Promise<Output>,
): (input: Input) => Promise<Output[]> {
  respond((task: [Input, number, number]) => work(...task));
  const shares = navigator.hardwareConcurrency;
  return async (input) => {
    using workers = new DisposableStack();
    return await Promise.all(Array.from({ length: shares }, (_, share) => {
      const worker = new Worker(module, { type: "module" });
      workers.defer(() => worker.terminate());
      return ask<unknown, Output>(worker, [input, share, shares]);
    }));
  };
}
