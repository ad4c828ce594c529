/** Creates X.509 certificates that are valid for a test run. */
import {
  BasicConstraintsExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "npm:@peculiar/x509@1.14.0";
import { isIP } from "node:net";

/** A certificate and its key, as PEM text. */
export type Identity = Pick<Awaited<ReturnType<typeof issue>>, "cert" | "key">;

/** What a certificate contains. */
export interface CertificateOptions {
  /** Its host names and IP addresses. */
  names?: string[];
  /** Whether it may sign others. */
  ca?: boolean;
  /** The start of its validity. @default Yesterday */
  from?: Date;
  /** The end of its validity. @default Tomorrow */
  until?: Date;
}

const DAY = 24 * 60 * 60 * 1000;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const USAGES: KeyUsage[] = ["sign", "verify"];

/** Creates a certificate, signed by the issuer or self-signed. */
export async function issue(
  name: string,
  { names = [], ca = false, from, until }: CertificateOptions = {},
  issuer?: { name: string; keys: CryptoKeyPair },
) {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, USAGES);
  const alternatives = names.map((value) => ({
    type: isIP(value) ? "ip" as const : "dns" as const,
    value,
  }));
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: `CN=${issuer?.name ?? name}`,
    notBefore: from ?? new Date(Date.now() - DAY),
    notAfter: until ?? new Date(Date.now() + DAY),
    publicKey: keys.publicKey,
    signingKey: (issuer?.keys ?? keys).privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      ...ca ? [new BasicConstraintsExtension(true)] : [],
      ...names.length > 0
        ? [new SubjectAlternativeNameExtension(alternatives)]
        : [],
    ],
  });
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    ...{ name, keys },
    cert: `${certificate.toString("pem")}\n`,
    key: `${PemConverter.encode(key, "PRIVATE KEY")}\n`,
  };
}
