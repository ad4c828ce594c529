/**
 * Certificates that live as long as a test run, made by openssl.
 *
 * @module
 */
import { join } from "node:path";

export interface Certificates {
  /** The CA's certificate. */
  ca: string;
  /** A server's, signed by the CA, and its key. */
  cert: string;
  key: string;
}

/** A CA, and a server certificate of it for the given names. */
export async function makeCertificates(
  subjectAltName: string,
): Promise<Certificates> {
  const folder = await Deno.makeTempDir({ prefix: "decapod-tls-" });
  const at = (name: string) => join(folder, name);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
  try {
    await openssl("req", "-x509", "-nodes", ...newKey, [
      "-keyout",
      at("ca.key"),
      "-out",
      at("ca.pem"),
      "-days",
      "2",
      "-subj",
      "/CN=Test CA",
    ]);
    await openssl("req", "-nodes", ...newKey, [
      "-keyout",
      at("server.key"),
      "-out",
      at("server.csr"),
      "-subj",
      "/CN=Decapod",
    ]);
    await Deno.writeTextFile(
      at("extensions"),
      `subjectAltName=${subjectAltName}\n`,
    );
    await openssl("x509", "-req", "-CAcreateserial", [
      "-in",
      at("server.csr"),
      "-CA",
      at("ca.pem"),
      "-CAkey",
      at("ca.key"),
      "-out",
      at("server.pem"),
      "-days",
      "2",
      "-extfile",
      at("extensions"),
    ]);
    const [ca = "", cert = "", key = ""] = await Promise.all(
      ["ca.pem", "server.pem", "server.key"].map((name) =>
        Deno.readTextFile(at(name))
      ),
    );
    return { ca, cert, key };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function openssl(...args: (string | string[])[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", {
    args: args.flat(),
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}
