/** The errors of the API: status, name and message. */

/** An error that becomes a response: `{"code", "error", "message"}`. */
export class ApiError extends Error {
  override name = "ApiError";

  constructor(
    readonly status: number,
    readonly error: string,
    message: string,
  ) {
    super(message);
  }
}

/** The errors with a fixed message, by name. */
const STANDARD = {
  Unauthorized: [401, "The login, the password or the token is not valid."],
  Forbidden: [403, "The role of this user does not permit the request."],
  NotFound: [404, "There is nothing under this id."],
  NotAcceptable: [406, "The body of the request is not readable as JSON."],
  BadRequest: [400, "The server does not understand the request."],
  CannotUpdateDeletedModel: [400, "The model is deleted and stays as it is."],
  CannotUpdateManagedFieldsError: [
    400,
    "id, version, times and initiator are kept by the server: send them as they are now.",
  ],
  ImpossibleToCreateSuchModel: [
    400,
    "Such a model exists: a field that must be unique is taken.",
  ],
  CannotUpdateModelWithSuchParameters: [400, "A unique field is taken."],
  CannotDeleteRoleWithActiveUsers: [400, "There are users with this role."],
  CannotDeleteClusterWithServers: [400, "Cluster still has servers"],
  CannotConvertResultToJSONError: [
    500,
    "The server encountered an internal error and was unable to complete your request.  Either the server is overloaded or there is an error in the application.",
  ],
} as const satisfies Record<string, readonly [number, string]>;

/** The name of an error with a fixed message. */
export type StandardError = keyof typeof STANDARD;

/** The error with this name. */
export function standard(name: StandardError): ApiError {
  const [status, message] = STANDARD[name];
  return new ApiError(status, name, message);
}

/** An error of the router; its name is a sentence. */
export function routingError(status: 404 | 405): ApiError {
  const [title, message] = status === 404
    ? ["Not Found", "No such path on this server. Check the spelling."]
    : ["Method Not Allowed", "This path does not take this method."];
  return new ApiError(status, `${status} ${title}: ${message}`, message);
}

/** How a crash inside the server looks from outside. */
export function crash(message: string): ApiError {
  return new ApiError(400, "PlainTextError", message);
}

/** A 400 with a name and a message. */
export function badRequest(error: string, message: string): ApiError {
  return new ApiError(400, error, message);
}
