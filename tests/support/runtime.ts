/** Tests that run as if on another runtime. */

/** Runs with these global names, without those of Deno. */
export function pretend(
  names: Record<string, unknown>,
  work: () => void,
): void {
  Reflect.get(globalThis, "process"); // loads it while there is a Deno
  const all = { Deno: undefined, ...names };
  const before = Object.keys(all).map((name) =>
    [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const
  );
  for (const [name, value] of Object.entries(all)) {
    Reflect.deleteProperty(globalThis, name);
    if (value === undefined) continue;
    Object.defineProperty(globalThis, name, { configurable: true, value });
  }
  try {
    work();
  } finally {
    for (const [name, descriptor] of before) {
      Reflect.deleteProperty(globalThis, name);
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
    }
  }
}
