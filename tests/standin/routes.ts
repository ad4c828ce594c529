/** The route table: every path of the API, with access and handler. */
import { accountRoutes, authenticate, authorize } from "./accounts.ts";
import { cinderRoutes } from "./cinder.ts";
import { clusterRoutes } from "./clusters.ts";
import { ApiError, routingError } from "./errors.ts";
import { executionRoutes } from "./executions.ts";
import {
  Context,
  decode,
  errorResponse,
  jsonResponse,
  NO_CACHE,
  type Route,
  route,
} from "./http.ts";
import { toJson } from "./json.ts";
import { configurationRoutes } from "./playbook_configurations.ts";
import { PLAYBOOKS } from "./playbooks.ts";
import { DISCOVERY_TOKEN, serverRoutes } from "./servers.ts";
import type { World } from "./world.ts";

/** Every route of the API. */
export const ROUTES: readonly Route[] = [
  route("GET /info", "public", ({ world }) => {
    const iso = new Date(world.time).toISOString().replace("Z", "000");
    const time = { local: iso, unix: world.seconds(), utc: iso };
    return toJson({ time, version: "1.2.0.dev1" });
  }),
  route("GET /playbook", "token", () => toJson({ items: [...PLAYBOOKS] })),
  ...accountRoutes,
  ...clusterRoutes,
  ...serverRoutes,
  ...configurationRoutes,
  ...executionRoutes,
  ...cinderRoutes,
];

/** The variable parts of a path. */
const FORMS: Record<string, string> = {
  "{id}": "([\\da-fA-F]{8}(?:-[\\da-fA-F]{4}){3}-[\\da-fA-F]{12})",
  "{number}": "(\\d+)",
  "{text}": "([^/]+)",
};

/** The routes by path. No path matches two endpoints. */
const ENDPOINTS = [...Map.groupBy(ROUTES, ({ path }) => path)].map(
  ([path, routes]) => ({
    path,
    form: new RegExp(
      `^/v1${path.replace(/\{\w+\}/g, (name) => FORMS[name] ?? name)}/?$`,
    ),
    methods: new Map(routes.map((route) => [route.method, route])),
  }),
);

/** Responds to a request. */
export async function respond(
  world: World,
  request: Request,
): Promise<Response> {
  let context: Context | undefined;
  let response: Response;
  try {
    const { pathname, searchParams } = new URL(request.url);
    const { methods, args } = findEndpoint(pathname);
    if (request.method === "OPTIONS") {
      const names = [...methods.keys(), "OPTIONS"];
      if (methods.has("GET")) names.push("HEAD");
      const headers = {
        "Allow": names.sort().join(", "),
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": "0",
        "Cache-Control": NO_CACHE,
      };
      return new Response(null, { headers });
    }
    const method = request.method === "HEAD" ? "GET" : request.method;
    const route = methods.get(method);
    if (route === undefined) throw routingError(405);
    context = new Context(world, request, searchParams, args);
    checkAccess(context, route);
    const result = await route.handle(context);
    response = typeof result === "string" ? jsonResponse(result) : result;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    response = errorResponse(error);
  }
  if (context?.tokenExpires !== undefined) {
    response.headers.set("X-Token-Expires", String(context.tokenExpires));
  }
  if (request.method !== "HEAD") return response;
  await response.body?.cancel();
  return new Response(null, response);
}

function findEndpoint(pathname: string) {
  const path = (decode(pathname) ?? pathname).replace(/^\/+/, "/");
  for (const endpoint of ENDPOINTS) {
    const [match, ...args] = endpoint.form.exec(path) ?? [];
    if (match === undefined) continue;
    // Ids are converted to lower case.
    const isLower = endpoint.path.includes("{id}");
    return {
      methods: endpoint.methods,
      args: isLower ? args.map((arg) => arg.toLowerCase()) : args,
    };
  }
  throw routingError(404);
}

function checkAccess(context: Context, { access }: Route): void {
  const header = context.request.headers.get("Authorization");
  const isDiscovery = access === "announcement" && header === DISCOVERY_TOKEN;
  if (access === "public" || isDiscovery) return;
  authenticate(context);
  if (access === "announcement") authorize(context, "api", "create_server");
  else if (access !== "token") authorize(context, "api", ...access);
}
