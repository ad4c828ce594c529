/** Benchmarks of one call, sequential and concurrent. */

import { load, provideTools } from "../../.dev/tools.ts";
import { StandIn } from "../standin/mod.ts";
import { register, type Target, type Way } from "./contest.ts";
import { carefulFetch, plainFetch, serveCached } from "./site.ts";

/** How many calls run concurrently. */
const CONCURRENCY = 32;

/** The parts of ky and openapi-fetch that are used here. */
interface Ky {
  create(options: { headers: Record<string, string> }): {
    get(url: string): { json(): Promise<Model> };
  };
}
type OpenApiFetch = (
  options: { baseUrl: string; headers: Record<string, string> },
) => {
  GET(
    path: string,
    options: { params: { path: Record<string, string> } },
  ): Promise<{ data?: Model }>;
};
interface Model {
  version: number;
}

const standIn = new StandIn({ servers: 0 });
const id = String(standIn.seedUsers(1)[0]?.id);
const { url, client, headers } = await serveCached(standIn);
const model = `${url}/v1/user/${id}/`;

const tools = await provideTools();
const ky = load<{ default: Ky }>(tools, "ky").default.create({ headers });
const openApi = load<{ default: OpenApiFetch }>(tools, "openapi-fetch")
  .default({ baseUrl: url, headers });

const WAYS: Record<string, () => Promise<Model | undefined>> = {
  "getUser": () => client.getUser(id),
  "careful fetch": () => carefulFetch(model, headers),
  "plain fetch": () => plainFetch(model, headers),
  "ky": () => ky.get(model).json(),
  "openapi-fetch": async () => {
    const params = { path: { id } };
    return (await openApi.GET("/v1/user/{id}/", { params })).data;
  },
};

type Call = typeof WAYS[string];

/** Maps each way. */
function mapWays(make: (call: Call) => Way): Record<string, Way> {
  return Object.fromEntries(
    Object.entries(WAYS).map(([name, call]) => [name, make(call)]),
  );
}

/** The highest ratios of times. */
function targets(careful: number, plain: number): Target[] {
  return [
    { against: "careful fetch", of: "time", wanted: careful },
    { against: "plain fetch", of: "time", wanted: plain },
    { against: "ky", of: "time", wanted: 1 },
    { against: "openapi-fetch", of: "time", wanted: 1 },
  ];
}

/** The comparisons. */
export const contests = register(
  {
    name: "one call at a time",
    ways: mapWays((call) => async () => (await call())?.version ?? NaN),
    targets: targets(1.1, 1.2),
    times: 60,
    rounds: 300,
  },
  {
    name: `${CONCURRENCY} calls at a time`,
    ways: mapWays((call) => async () => {
      const models = await Promise.all(
        Array.from({ length: CONCURRENCY }, call),
      );
      return models.reduce((sum, model) => sum + (model?.version ?? NaN), 0);
    }),
    targets: targets(1.06, 1.12),
    times: 3,
    rounds: 300,
  },
);
