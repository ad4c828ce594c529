/** A session with the stand-in, for its tests. */
import { assertEquals } from "@std/assert";
import { isObject, type Json, type JsonObject } from "./json.ts";
import { StandIn, type StandInOptions, TestClock } from "./mod.ts";

/** A model, as the API shows it. */
export type Model = JsonObject & { data: JsonObject };

/** The URL of a stand-in that is called in process. */
export const ORIGIN = "http://decapod";

/** The value as an object; throws if it is none. */
export function fields(value: Json | undefined): JsonObject {
  if (isObject(value)) return value;
  throw new TypeError(`Not an object: ${JSON.stringify(value)}`);
}

/** A stand-in with a clock, and a user who is logged in. */
export class Session {
  readonly clock = new TestClock();
  readonly standIn: StandIn;
  token = "";

  private constructor(options: StandInOptions) {
    this.standIn = new StandIn({ now: this.clock.now, seed: 7, ...options });
  }

  static async start(options: StandInOptions = {}): Promise<Session> {
    const session = new Session(options);
    session.token = await session.login("root", "root");
    return session;
  }

  async login(username: string, password: string): Promise<string> {
    const token = await this.post("/auth", { username, password });
    return String(token.id);
  }

  /** Sends a request as it is. */
  send(
    method: string,
    path: string,
    body?: Json,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return this.standIn.fetch(`${ORIGIN}/v1${path}`, {
      method,
      headers: { Authorization: this.token, ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** The status of the response and the name of its error. */
  async outcome(
    method: string,
    path: string,
    body?: Json,
  ): Promise<[number, string]> {
    const response = await this.send(method, path, body);
    const { error = "" } = await response.json();
    return [response.status, error];
  }

  async #ok<T = Model>(
    method: string,
    path: string,
    body?: Json,
  ): Promise<T> {
    const response = await this.send(method, path, body);
    const received = await response.json();
    assertEquals(response.status, 200, JSON.stringify(received));
    return received;
  }

  readonly get = (path: string) => this.#ok("GET", path);
  readonly post = (path: string, body: Json) => this.#ok("POST", path, body);
  readonly put = (path: string, body: Json) => this.#ok("PUT", path, body);
  readonly delete = (path: string) => this.#ok("DELETE", path);

  /** The items of a listing. */
  async list(path: string, query: Record<string, string> = {}) {
    const search = new URLSearchParams(query);
    const page = await this.#ok<{ items: Model[] }>("GET", `${path}?${search}`);
    return page.items;
  }

  /** Queues a deployment of the first three servers. */
  async deploy(): Promise<{ cluster: Model; execution: string }> {
    const cluster = await this.post("/cluster", { name: "ceph" });
    const servers = await this.list("/server");
    const ids = servers.slice(0, 3).map(({ id }) => String(id));
    const hints = [{ id: "mon_count", value: 1 }];
    const execution = await this.run(cluster, "cluster_deploy", ids, hints);
    return { cluster, execution };
  }

  /** Runs a playbook on a cluster; returns the id of the execution. */
  async run(
    cluster: Model,
    playbook: string,
    server_ids: string[] = [],
    hints: Json = [],
  ): Promise<string> {
    const { data } = await this.post("/playbook_configuration", {
      ...{ name: playbook, playbook_id: playbook },
      ...{ cluster_id: String(cluster.id), server_ids, hints, run: true },
    });
    return String(data.created_execution_id);
  }

  async state(execution: string): Promise<Json> {
    return (await this.get(`/execution/${execution}`)).data.state ?? null;
  }

  async log(execution: string): Promise<string> {
    return await (await this.send("GET", `/execution/${execution}/log`)).text();
  }
}
