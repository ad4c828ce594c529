/** The rules of the stand-in: filters, orders, pages, schemas, patterns. */
import { assertEquals, assertThrows } from "@std/assert";
import { readQuery } from "./standin/filters.ts";
import { type Json, type JsonObject, toJson } from "./standin/json.ts";
import { COMPILED, REFUSED } from "./standin/patterns.ts";
import { repr } from "./standin/python.ts";
import { pythonRegExp } from "./standin/regexp.ts";
import { BODIES, modelSchema } from "./standin/schemas.ts";
import { fields, Session } from "./standin/session.ts";

Deno.test("pythonRegExp() matches as Python does", () => {
  const table: [pattern: string, matches: string[], others: string[]][] = [
    ["page", ["page01", "my page"], ["Page"]],
    ["(?i)page", ["PAGE", "page"], ["pag"]],
    ["(?i:PA)ge", ["page"], ["paGE"]],
    ["^page$", ["page", "page\n"], ["page1", "page\n\n"]],
    ["\\Apage\\Z", ["page"], ["page\n", " page"]],
    ["(?m)^b$", ["a\nb\nc"], ["ab"]],
    ["a.b", ["a\rb"], ["a\nb"]],
    ["(?s)a.b", ["a\nb"], []],
    ["(?x) a b # c", ["ab"], ["a b"]],
    ["(?P<x>[ab])(?P=x)", ["aa", "bb"], ["ab"]],
    ["(?#nothing)a", ["a"], ["b"]],
    ["^\\w+$", ["Роль_1"], ["☃", "a b"]],
    ["^\\d+$", ["12", "٣"], ["x"]],
    ["\\bрол\\b", ["я рол"], ["роль"]],
    ["[]a]", ["]", "a"], ["b"]],
    ["[^]a]", ["b"], ["]", "a"]],
    ["a{,2}b", ["b", "aab"], ["a"]],
    ["^a{b}$", ["a{b}"], ["ab"]],
    ["node\\-1", ["node-1"], ["node1"]],
    ["\\U0001F600", ["😀"], ["x"]],
    ["(?<!a)b", ["b"], ["ab"]],
    ["^[^\\W\\d_]{3}1$", ["tmp1", "été1"], ["t_p1"]],
    ["^(a)?b(?(1)c|d)$", ["abc", "bd"], ["abd", "bc"]],
    ["^(?P<q>['\"])?x(?(q)['\"])$", ["x", "'x'"], ["'x"]],
    ["^(a|ab)(c|bcd)(d*)$", ["abcd"], ["abce"]],
    ["^(?:a|b)*?c{2,3}$", ["abcc", "ccc"], ["abc"]],
    ["(?i)^(straße)\\1$", ["STRAßEstraße"], ["straße"]],
    ["^(a*)*$", ["aaa", ""], ["b"]],
    ["(?s-i:.)x", ["\nx"], ["x"]],
    ["(?a)^\\w+$", ["a_1"], ["é"]],
    ["\\101\\x42\\u0043\\0?", ["ABC"], ["AB"]],
    ["^[\\]\\-a-c]+$", ["a]-b"], ["d"]],
    ["(?=ab)a(?!bc)", ["abd"], ["abc", "b"]],
    ["(?<=\\d{2})x", ["12x"], ["1x"]],
    ["a{,}{}", ["a{}", "{}"], ["a"]],
  ];
  for (const [pattern, matches, others] of table) {
    const { test } = pythonRegExp(pattern);
    assertEquals(matches.filter((text) => !test(text)), [], pattern);
    assertEquals(others.filter(test), [], pattern);
  }
});

Deno.test("pythonRegExp() compiles what Python compiles, and nothing else", () => {
  for (const pattern of REFUSED) {
    assertThrows(() => pythonRegExp(pattern), SyntaxError, "", pattern);
  }
  for (const pattern of COMPILED) pythonRegExp(pattern);
});

Deno.test("repr() quotes as Python does", () => {
  const table: [Json, string][] = [
    [null, "None"],
    [true, "True"],
    [[1, "a", {}], "[1, 'a', {}]"],
    [{ a: [false], "b'": 1.5 }, `{'a': [False], "b'": 1.5}`],
    ["it's", `"it's"`],
    [`it's "it"`, `'it\\'s "it"'`],
    ["a\\b\n\x01☃", "'a\\\\b\\n\\x01☃'"],
  ];
  for (const [value, text] of table) assertEquals(repr(value), text);
});

Deno.test("toJson() sorts keys at every depth", () => {
  const value = { b: [{ d: null, c: "☃" }], a: { "2": 2, "10": 1 } };
  assertEquals(toJson(value), '{"a":{"10":1,"2":2},"b":[{"c":"☃","d":null}]}');
});

Deno.test("BODIES and modelSchema() return a message for each mistake, in order", () => {
  const user = {
    email: "nobody",
    full_name: "",
    role_id: 5,
    other: 1,
    more: 2,
  };
  assertEquals(BODIES.user(user), [
    "'nobody' is not a 'email'",
    "'nobody' does not match '^[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\\\\.[a-zA-Z0-9-.]+$'",
    "'' is too short",
    "5 is not valid under any of the given schemas",
    "Additional properties are not allowed ('other', 'more' were unexpected)",
    "'login' is a required property",
  ]);
  const model = { time_updated: -1, time_deleted: 0.5, version: true };
  assertEquals(modelSchema("server")(model).slice(0, 3), [
    "-1 is less than the minimum of 0",
    "0.5 is not a multiple of 1.0",
    "True is not of type 'number'",
  ]);
});

Deno.test("the schema of a server accepts names and addresses of hosts", () => {
  const id = "c9fe8583-3f39-37b8-f651-b93268fa7fb3";
  const messages = (host: string) => BODIES.server({ id, host, username: "u" });
  for (const host of ["node1.example.com", "10.0.0.1", "fd00::1"]) {
    assertEquals(messages(host), [], host);
  }
  for (const host of ["a_b", "", `${"x".repeat(64)}.com`]) {
    assertEquals(messages(host).length, 1, host);
  }
});

/** The pages of a listing of six clusters, a to f. */
async function alphabet(): Promise<Session> {
  const session = await Session.start();
  for (const name of ["c", "a", "f", "b", "e", "d"]) {
    await session.post("/cluster", { name });
  }
  return session;
}

async function names(session: Session, query: Record<string, string>) {
  const items = await session.list("/cluster", query);
  return items.map(({ data }) => data.name).join("");
}

Deno.test("stand-in finds what a filter asks for, all if it cannot read it", async () => {
  const session = await alphabet();
  const table: [filter: Json, names: string][] = [
    [{ name: "b" }, "b"],
    [{ name: { eq: "b" } }, "b"],
    [{ name: { ne: "b" } }, "acdef"],
    [{ name: { gt: "b", lte: "d" } }, "cd"],
    [{ name: { gte: "b", lt: "d" } }, "bc"],
    [{ name: { in: ["f", "a", "x", 1] } }, "af"],
    [{ name: { nin: ["f", "a", "x", 1] } }, "bcde"],
    [{ name: { regexp: "[A-C]" } }, ""],
    [{ name: { regexp: "(?i)[A-C]" } }, "abc"],
    [{ name: { regexp: "a|b", ne: "a", nosuch: 1 } }, "ab"],
    [{ name: { gt: 1 } }, ""],
    [{ version: 1 }, "abcdef"],
    [{ version: { lt: 1.5 } }, "abcdef"],
    [{ version: "1" }, ""],
    [{ version: true }, ""],
    [{ nosuch: "a" }, ""],
    [{ nosuch: { ne: "a" } }, "abcdef"],
    [{ nosuch: { eq: null } }, "abcdef"],
    [{ name: {} }, ""],
    [{ _id: "a" }, ""],
    [{ id: { gt: "" } }, ""],
    [{ "data.name": "a" }, ""],
  ];
  for (const [condition, found] of table) {
    const filter = JSON.stringify(condition);
    assertEquals(await names(session, { filter }), found, filter);
  }
  const unreadable = [
    ...['"a"', '{"name":null}', '{"version":1.0}', '{"version":1e0}'],
    ...['{"name":["a"]}', '{"name":{"regexp":"["}}', '{"name":{"regexp":5}}'],
    '{"name":"a","version":null}',
  ];
  for (const filter of unreadable) {
    assertEquals(await names(session, { filter }), "abcdef", filter);
  }
});

Deno.test("stand-in filters by facts", async () => {
  const session = await Session.start();
  const [server] = await session.list("/server");
  const facts = fields(server?.data.facts);
  for (
    const filter of [
      { "facts.ansible_hostname": facts.ansible_hostname },
      { "facts.ansible_all_ipv4_addresses": server?.data.ip },
    ]
  ) {
    const query = { filter: JSON.stringify(filter) };
    assertEquals(await session.list("/server", query), [server]);
  }
});

Deno.test("stand-in ignores an order that it cannot read", async () => {
  const session = await alphabet();
  const table: [sort: string, names: string][] = [
    ['{"_id":1}', "cafbed"],
    ['{"_id":-1}', "debfac"],
    ['{"version":1,"name":-1}', "fedcba"],
    ['{"name":1.0}', "abcdef"],
    ['{"name":-1,"_id":"up"}', "abcdef"],
    ['[["name",-1]]', "abcdef"],
  ];
  for (const [sort_by, found] of table) {
    assertEquals(await names(session, { sort_by }), found, sort_by);
  }
});

Deno.test("readQuery() reads page and per_page leniently", () => {
  const ignored = ["0", "-1", "0.5", "abc", "", "0x10", "nan", "inf", "1e999"];
  const read = (text: string) => {
    const params = new URLSearchParams({ page: text, per_page: text });
    const { page, perPage } = readQuery(params);
    return [page, perPage];
  };
  for (const [text, value] of [["3", 3], ["2.9", 2], ["1e1", 10], [" 4 ", 4]]) {
    assertEquals(read(String(text)), [value, value]);
  }
  for (const text of ignored) assertEquals(read(text), [1, 25], text);
});

Deno.test("stand-in crashes over data of a PUT as Decapod does", async () => {
  const session = await Session.start();
  const [user] = await session.list("/user");
  const [role] = await session.list("/role");
  const [server] = await session.list("/server");
  const cluster = await session.post("/cluster", { name: "one" });
  const table: [model: JsonObject | undefined, data: Json, message: string][] =
    [
      [user, null, "'NoneType' object has no attribute 'items'"],
      [user, [], "'list' object has no attribute 'items'"],
      [user, 1.5, "'float' object has no attribute 'items'"],
      [role, true, "'bool' object has no attribute 'items'"],
      [role, { permissions: "all" }, "string indices must be integers"],
      [role, { permissions: [5] }, "the permissions are not readable"],
      [cluster, 1, "argument of type 'int' is not iterable"],
      [cluster, "name", "string indices must be integers"],
      [server, {}, "'name'"],
      [server, null, "'NoneType' object is not subscriptable"],
      [server, [], "list indices must be integers or slices, not str"],
    ];
  for (const [model, data, message] of table) {
    const path = `/${model?.model}/${model?.id}`;
    const response = await session.send("PUT", path, { ...model, data });
    const error = "PlainTextError";
    assertEquals(await response.json(), { code: 400, error, message });
  }
  const { version, data } = await session.put(`/cluster/${cluster.id}`, {
    ...cluster,
    data: "no such field",
  });
  assertEquals([version, data.name], [2, "one"]);
});

Deno.test("stand-in checks where the servers of a playbook are", async () => {
  const session = await Session.start({ servers: 0 });
  const home = String((await session.post("/cluster", { name: "home" })).id);
  const away = String((await session.post("/cluster", { name: "away" })).id);
  const server_ids = [null, home, away].map((cluster_id) =>
    String(session.standIn.addServer({ cluster_id }).id)
  );
  const [free, member, stranger] = server_ids;
  const table: [playbook: string, wrong: unknown[], why: string][] = [
    ["remove_osd", [free, stranger], `do not belong to cluster ${home}`],
    ["add_osd", [stranger], `in other cluster than ${home}`],
    ["cluster_deploy", [member, stranger], "are in clusters"],
  ];
  for (const [playbook_id, wrong, why] of table) {
    const response = await session.send("POST", "/playbook_configuration", {
      ...{ name: "x", cluster_id: home, playbook_id, server_ids, hints: [] },
    });
    const { error, message } = await response.json();
    assertEquals(error, "ServerListPolicyViolation");
    const reason = `: Servers ${wrong.sort().join(", ")} ${why}`;
    assertEquals(message.slice(-reason.length), reason);
  }
});
