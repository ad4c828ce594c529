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

/** Creates a certificate, signed by the issuer or self-signed. */
export async function issue(
  name: string,
  options: CertificateOptions = {},
  issuer?: Authority,
): Promise<Authority> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, [
    "sign",
    "verify",
  ]);
  const {
    names = [],
    ca = false,
    from = new Date(Date.now() - DAY),
    until = new Date(Date.now() + DAY),
  } = options;
  const signature = sequence(oid("2a8648ce3d040302")); // ECDSA with SHA-256
  const body = sequence(
    tagged(0xa0, integer(Uint8Array.of(2))), // X.509 version 3
    integer(crypto.getRandomValues(new Uint8Array(8))),
    signature,
    commonName(issuer?.name ?? name),
    sequence(time(from), time(until)),
    commonName(name),
    new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey)),
    tagged(
      0xa3,
      sequence(
        ...ca ? [extension("551d13", sequence(Uint8Array.of(1, 1, 255)))] : [],
        ...names.length > 0
          ? [extension("551d11", sequence(...names.map(alternativeName)))]
          : [],
      ),
    ),
  );
  const signed = await crypto.subtle.sign(
    ALGORITHM,
    (issuer?.keys ?? keys).privateKey,
    body,
  );
  const [r, s] = [signed.slice(0, 32), signed.slice(32)]
    .map((half) => integer(new Uint8Array(half)));
  const certificate = sequence(
    body,
    signature,
    tagged(0x03, Uint8Array.of(0), sequence(r ?? body, s ?? body)),
  );
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    name,
    keys,
    cert: pem("CERTIFICATE", certificate),
    key: pem("PRIVATE KEY", new Uint8Array(key)),
  };
}

function pem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der).toString("base64").replace(/.{64}/g, "$&\n");
  return `-----BEGIN ${label}-----\n${base64.trimEnd()}\n-----END ${label}-----\n`;
}

// The DER encoding, as far as it is needed here.

type Bytes = Uint8Array<ArrayBuffer>;

function tagged(tag: number, ...parts: Bytes[]): Bytes {
  const size = parts.reduce((total, { length }) => total + length, 0);
  const length = size < 128
    ? [size]
    : size < 256
    ? [0x81, size]
    : [0x82, size >> 8, size & 255];
  return Uint8Array.from(
    [tag, ...length, ...parts.flatMap((part) => [...part])],
  );
}

function sequence(...parts: Bytes[]): Bytes {
  return tagged(0x30, ...parts);
}

/** A number from its bytes, never negative. */
function integer(bytes: Uint8Array): Bytes {
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = [...bytes.slice(Math.max(start, 0))];
  return tagged(
    0x02,
    Uint8Array.from((digits[0] ?? 0) > 127 ? [0, ...digits] : digits),
  );
}

function oid(hex: string): Bytes {
  return tagged(0x06, Uint8Array.from(Buffer.from(hex, "hex")));
}

function text(tag: number, value: string): Bytes {
  return tagged(tag, new TextEncoder().encode(value));
}

function commonName(name: string): Bytes {
  return sequence(tagged(0x31, sequence(oid("550403"), text(0x0c, name))));
}

function time(date: Date): Bytes {
  const digits = date.toISOString().replace(/\D/g, "").slice(2, 14);
  return text(0x17, `${digits}Z`);
}

function extension(hex: string, value: Bytes): Bytes {
  return sequence(oid(hex), tagged(0x04, value));
}

function alternativeName(name: string): Bytes {
  if (name === "::1") return tagged(0x87, new Uint8Array(16).fill(1, 15));
  return /^[\d.]+$/.test(name)
    ? tagged(0x87, Uint8Array.from(name.split(".").map(Number)))
    : text(0x82, name);
}
