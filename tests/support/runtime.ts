/** Tests that run as if on another runtime. */

/** Runs with these global names, without those of Deno. */
export function pretend(
  names: Record<string, unknown>,
  work: () => void,
): void {
  Reflect.get(globalThis, "process"); // loads it while there is a Deno
  using originals = new DisposableStack();
  for (const [name, value] of Object.entries({ Deno: undefined, ...names })) {
    const original = Object.getOwnPropertyDescriptor(globalThis, name);
    originals.defer(() => define(name, original));
    define(name, value === undefined ? value : { configurable: true, value });
  }
  work();
}

function define(name: string, descriptor: PropertyDescriptor | undefined) {
  Reflect.deleteProperty(globalThis, name);
  if (descriptor) Object.defineProperty(globalThis, name, descriptor);
}
