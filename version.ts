/**
 * The version of this package; a test compares it with deno.json.
 *
 * @category Client
 */
export const VERSION = "1.1.0";
