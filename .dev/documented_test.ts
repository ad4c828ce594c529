import { assert, assertEquals } from "@std/assert";
import { documentationGate } from "./documented.ts";

const EXAMPLE = { kind: "example", doc: "```ts\nnew Thing(1);\n```" };
const doc = (...tags: object[]) => ({ doc: "What it is.", tags });
const param = { kind: "param", name: "id", doc: "Its id." };

/** What `deno doc --json` gives for one module. */
const gate = (symbols: object[], moduleDoc?: object) =>
  documentationGate({
    code: 0,
    stdout: JSON.stringify({
      nodes: {
        "file:///a/thing.ts": { module_doc: moduleDoc, symbols },
      },
    }),
    stderr: "",
  });

const MODULE = doc({ kind: "module" }, EXAMPLE);
const symbol = (declaration: object) => [
  { name: "Thing", declarations: [declaration] },
];
const thing = (def: object, ...tags: object[]) =>
  symbol({ kind: "class", jsDoc: doc(EXAMPLE, ...tags), def });

Deno.test("documentationGate() names what is not documented", () => {
  const member = { name: "get", kind: "method" };
  const cases: [string, object[], object | undefined][] = [
    ["thing.ts: no documentation", [], undefined],
    ["thing.ts: no @module", [], doc(EXAMPLE)],
    ["thing.ts: no example for the module", [], doc({ kind: "module" })],
    ["Thing: no documentation", symbol({ kind: "typeAlias" }), MODULE],
    ["Thing: no @example", symbol({ kind: "class", jsDoc: doc() }), MODULE],
    ["Thing: no @example", symbol({ kind: "function", jsDoc: doc() }), MODULE],
    ["get: no documentation", thing({ methods: [member] }), MODULE],
    [
      "get: no @example",
      thing({ methods: [{ ...member, jsDoc: doc() }] }),
      MODULE,
    ],
    [
      "get: no @param id",
      thing({
        methods: [{
          ...member,
          jsDoc: doc(EXAMPLE),
          params: [{ name: "id" }],
        }],
      }),
      MODULE,
    ],
    [
      "time: no documentation",
      symbol({
        kind: "typeAlias",
        jsDoc: doc(),
        def: { tsType: { value: [{ properties: [{ name: "time" }] }] } },
      }),
      MODULE,
    ],
    [
      "Thing.constructor: no @example",
      symbol({
        kind: "class",
        jsDoc: doc({ kind: "example", doc: "```ts\nmake();\n```" }),
        def: { constructors: [{ name: "constructor", jsDoc: doc() }] },
      }),
      MODULE,
    ],
    [
      "Thing: an example is ignored",
      thing({}, { kind: "example", doc: "```ts ignore\n1;\n```" }),
      MODULE,
    ],
  ];
  for (const [missing, symbols, moduleDoc] of cases) {
    const { failed, details = "" } = gate(symbols, moduleDoc);
    assertEquals(failed, 1, missing);
    assert(details.split("\n").some((line) => line.endsWith(missing)), details);
  }
});

Deno.test("documentationGate() counts what is documented", () => {
  const { failed, details } = gate([
    ...thing({
      constructors: [{ name: "constructor", jsDoc: doc() }],
      properties: [
        { name: "url", jsDoc: doc() },
        { name: "hidden", accessibility: "private" },
      ],
      methods: [
        {
          name: "get",
          kind: "method",
          jsDoc: doc(EXAMPLE, param),
          params: [{ name: "id" }],
          location: { filename: "thing.ts", byteIndex: 7 },
        },
        {
          name: "json",
          kind: "getter",
          jsDoc: doc(),
          location: { filename: "thing.ts", byteIndex: 8 },
        },
      ],
    }),
    { name: "Alias", declarations: [{ kind: "reference" }] },
    {
      name: "Base",
      declarations: [{ kind: "class", jsDoc: doc({ kind: "internal" }) }],
    },
  ], MODULE);
  assertEquals(failed, 0, details);
  assertEquals(details, "▸ 1 modules, 1 symbols, 3 members, 1 examples");
  assertEquals(
    documentationGate({ code: 1, stdout: "", stderr: "" }).failed,
    1,
  );
});
