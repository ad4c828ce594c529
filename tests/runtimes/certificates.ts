/** Creates X.509 certificates that are valid for a test run. */
import { Buffer } from "node:buffer";

/** A certificate and its key, as PEM text. */
export interface Identity {
  cert: string;
  key: string;
}

/** What a certificate contains. */
export interface CertificateOptions {
  /** Its host names and IPv4 addresses. */
  names?: string[];
  /** Whether it may sign others. */
  ca?: boolean;
  /** The start of its validity. @default Yesterday */
  from?: Date;
  /** The end of its validity. @default Tomorrow */
  until?: Date;
}

/** A CA, or a certificate with its keys. */
export interface Authority extends Identity {
  name: string;
  keys: CryptoKeyPair;
}

const DAY = 24 * 60 * 60 * 1000;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const { subtle } = crypto;

/** Creates a certificate, signed by the issuer or self-signed. */
export async function issue(
  name: string,
  {
    names = [],
    ca = false,
    from = new Date(Date.now() - DAY),
    until = new Date(Date.now() + DAY),
  }: CertificateOptions = {},
  issuer?: Authority,
): Promise<Authority> {
  const keys = await subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const signature = sequence(der(0x06, "2a8648ce3d040302")); // ECDSA with SHA-256
  const basicConstraints = ca ? [extension("551d13", "0101ff")] : [];
  const alternatives = names.length > 0
    ? [extension("551d11", ...names.map(alternativeName))]
    : [];
  const body = sequence(
    der(0xa0, integer("02")), // X.509 version 3
    integer(hex(crypto.getRandomValues(new Uint8Array(8)))),
    signature,
    commonName(issuer?.name ?? name),
    sequence(time(from), time(until)),
    commonName(name),
    hex(await subtle.exportKey("spki", keys.publicKey)),
    der(0xa3, sequence(...basicConstraints, ...alternatives)),
  );
  const { privateKey } = issuer?.keys ?? keys;
  const signed = hex(
    await subtle.sign(ALGORITHM, privateKey, Buffer.from(body, "hex")),
  );
  const numbers = [signed.slice(0, 64), signed.slice(64)].map(integer);
  const bits = der(0x03, "00", sequence(...numbers));
  const key = await subtle.exportKey("pkcs8", keys.privateKey);
  return {
    name,
    keys,
    cert: pem("CERTIFICATE", sequence(body, signature, bits)),
    key: pem("PRIVATE KEY", hex(key)),
  };
}

function pem(label: string, der: string): string {
  const base64 = Buffer.from(der, "hex").toString("base64");
  const lines = base64.match(/.{1,64}/g)?.join("\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

// The DER encoding in hexadecimal digits, as far as it is needed here.

function hex(bytes: ArrayBuffer | Uint8Array): string {
  return Buffer.from(new Uint8Array(bytes)).toString("hex");
}

/** A value: its tag, its length and its parts. */
function der(tag: number, ...parts: string[]): string {
  const value = parts.join("");
  const size = value.length / 2;
  const length = size < 128
    ? [size]
    : size < 256
    ? [0x81, size]
    : [0x82, size >> 8, size & 255];
  return hex(Uint8Array.of(tag, ...length)) + value;
}

function sequence(...parts: string[]): string {
  return der(0x30, ...parts);
}

/** A number, never negative and without leading zeros. */
function integer(digits: string): string {
  const short = digits.replace(/^(00)+(?=..)/, "");
  return der(0x02, short < "8" ? short : `00${short}`);
}

function text(tag: number, value: string): string {
  return der(tag, Buffer.from(value).toString("hex"));
}

function commonName(name: string): string {
  return sequence(der(0x31, sequence(der(0x06, "550403"), text(0x0c, name))));
}

function time(date: Date): string {
  const digits = date.toISOString().replace(/\D/g, "").slice(2, 14);
  return text(0x17, `${digits}Z`);
}

function extension(id: string, ...parts: string[]): string {
  return sequence(der(0x06, id), der(0x04, sequence(...parts)));
}

function alternativeName(name: string): string {
  if (name === "::1") return der(0x87, "1".padStart(32, "0"));
  return /^[\d.]+$/.test(name)
    ? der(0x87, hex(Uint8Array.from(name.split("."), Number)))
    : text(0x82, name);
}
