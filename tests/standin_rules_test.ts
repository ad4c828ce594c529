/** The rules of the stand-in: filters, orders, pages, schemas, patterns. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { readQuery } from "./standin/filters.ts";
import { type Json, type JsonObject, toJson } from "./standin/json.ts";
import { COMPILED, REFUSED } from "./standin/patterns.ts";
import { repr } from "./standin/python.ts";
import { pythonRegExp } from "./standin/regexp.ts";
import { BODIES, MODELS, validate } from "./standin/schemas.ts";
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

Deno.test("validate() yields a message for each mistake, in order", () => {
  const user = {
    login: "x".repeat(1025),
    email: "nobody",
    full_name: "",
    other: 1,
    more: 2,
  };
  assertEquals([...validate(user, BODIES.user)], [
    `'${user.login}' is too long`,
    "'nobody' is not a 'email'",
    "'nobody' does not match '^[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\\\\.[a-zA-Z0-9-.]+$'",
    "'' is too short",
    "Additional properties are not allowed ('other', 'more' were unexpected)",
    "'role_id' is a required property",
  ]);
  const model = {
    id: "c9fe8583-3f39-37b8-f651-b93268fa7fb3",
    model: "server",
    time_updated: -1,
    time_deleted: 0.5,
    version: true,
    initiator_id: "x",
    data: {},
  };
  assertEquals([...validate(model, MODELS.server)], [
    "-1 is less than the minimum of 0",
    "0.5 is not a multiple of 1.0",
    "True is not of type 'number'",
    "'x' is not valid under any of the given schemas",
  ]);
});

Deno.test("validate() accepts names and addresses of hosts", () => {
  const id = "c9fe8583-3f39-37b8-f651-b93268fa7fb3";
  const table: [host: string, fits: boolean][] = [
    ["node1.example.com", true],
    ["10.0.0.1", true],
    ["fd00::1", true],
    ["a_b", false],
    ["", false],
    [`${"x".repeat(64)}.com`, false],
  ];
  for (const [host, fits] of table) {
    const messages = [...validate({ id, host, username: "u" }, BODIES.server)];
    assertEquals(messages.length === 0, fits, host);
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

Deno.test("stand-in ignores a filter that it cannot read", async () => {
  const session = await alphabet();
  const unreadable = [
    ...["{bad", "[]", '"a"', "5", "null", '{"name":null}', '{"version":1.0}'],
    ...['{"version":1e0}', '{"name":["a"]}', '{"name":{"regexp":"["}}'],
    ...['{"name":{"regexp":5}}', '{"name":"a","version":null}'],
  ];
  for (const filter of unreadable) {
    assertEquals(await names(session, { filter }), "abcdef", filter);
  }
});

Deno.test("stand-in finds what a filter asks for", async () => {
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
  for (const [filter, found] of table) {
    const text = JSON.stringify(filter);
    assertEquals(await names(session, { filter: text }), found, text);
  }
});

Deno.test("stand-in filters by facts", async () => {
  const session = await Session.start();
  const [server] = await session.list("/server");
  const hostname = fields(server?.data.facts).ansible_hostname ?? "";
  const found = await session.list("/server", {
    filter: JSON.stringify({ "facts.ansible_hostname": hostname }),
  });
  assertEquals(found, [server]);
  const address = await session.list("/server", {
    filter: JSON.stringify({
      "facts.ansible_all_ipv4_addresses": server?.data.ip ?? "",
    }),
  });
  assertEquals(address, [server]);
});

Deno.test("stand-in ignores an order that it cannot read", async () => {
  const session = await alphabet();
  const table: [sort: string, names: string][] = [
    ['{"name":-1}', "fedcba"],
    ['{"_id":1}', "cafbed"],
    ['{"_id":-1}', "debfac"],
    ['{"version":1,"name":-1}', "fedcba"],
    ['{"nosuch":1}', "cafbed"],
    ["{}", "abcdef"],
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
  const table: [text: string, page: number][] = [
    ["3", 3],
    ["2.9", 2],
    ["1e1", 10],
    [" 4 ", 4],
    ...ignored.map((text): [string, number] => [text, 1]),
  ];
  for (const [text, page] of table) {
    const query = readQuery(
      new URLSearchParams({ page: text, per_page: text }),
    );
    assertEquals(query.page, page, text);
    assertEquals(query.perPage, page === 1 ? 25 : page, text);
  }
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
    assert(model);
    const path = `/${model.model}/${model.id}`;
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
  const session = await Session.start({ servers: 3 });
  const home = await session.post("/cluster", { name: "home" });
  const away = await session.post("/cluster", { name: "away" });
  const [free, member, stranger] = await session.list("/server");
  for (const [server, cluster] of [[member, home], [stranger, away]] as const) {
    const id = String(server?.id);
    session.standIn.addServer({
      id,
      fqdn: String(server?.data.fqdn),
      ip: String(server?.data.ip),
      cluster_id: String(cluster.id),
    });
  }
  const ids = [free, member, stranger].map((server) => String(server?.id));
  const sorted = (...ids: (string | undefined)[]) => ids.sort().join(", ");
  const table: [playbook: string, policy: string, reason: string][] = [
    [
      "remove_osd",
      "in_this_cluster",
      `${sorted(ids[0], ids[2])} do not belong to cluster ${home.id}`,
    ],
    [
      "add_osd",
      "not_in_other_cluster",
      `${ids[2]} in other cluster than ${home.id}`,
    ],
    [
      "cluster_deploy",
      "not_in_any_cluster",
      `${sorted(ids[1], ids[2])} are in clusters`,
    ],
  ];
  for (const [playbook_id, policy, reason] of table) {
    const response = await session.send("POST", "/playbook_configuration", {
      ...{ name: "x", cluster_id: String(home.id), playbook_id },
      ...{ server_ids: ids, hints: [] },
    });
    assertEquals(await response.json(), {
      code: 400,
      error: "ServerListPolicyViolation",
      message: "Violation of playbook server list policy " +
        `${policy} (${playbook_id}): Servers ${reason}`,
    });
  }
});
