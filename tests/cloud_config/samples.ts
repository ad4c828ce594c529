/**
 * Valid options, and complete SSH public keys of any type.
 *
 * @module
 */
import type { CloudConfigOptions } from "../../cloud_config.ts";

export const TOKEN = "26758c32-3421-4f3d-9603-e4b5337e7ecc";
export const KEY =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEFMPVXbJkfBaBn7tLZhG7OXQpj5HFgMMbTO6MaexrZU ansible@decapod";

export const OPTIONS: CloudConfigOptions = {
  url: "http://127.0.0.1",
  serverDiscoveryToken: TOKEN,
  publicKey: KEY,
  username: "ansible",
};

/** The base64 data of a key: its type and fields of the given sizes. */
function keyData(type: string, ...sizes: number[]): string {
  const fields = [
    new TextEncoder().encode(type),
    ...sizes.map((size, index) => new Uint8Array(size).fill(65 + index)),
  ];
  const bytes = fields.flatMap((field) => [
    0,
    0,
    field.length >> 8,
    field.length & 255,
    ...field,
  ]);
  return btoa(String.fromCharCode(...bytes));
}

/** A key as `ssh-keygen` writes it, without a comment. */
export function publicKey(type: string, ...sizes: number[]): string {
  return `${type} ${keyData(type, ...sizes)}`;
}

/** One key of each type that sshd accepts in `authorized_keys`. */
export const KEYS = [
  publicKey("ssh-ed25519", 32),
  publicKey("ssh-rsa", 3, 257),
  publicKey("ssh-dss", 129, 21, 128, 128),
  publicKey("ecdsa-sha2-nistp256", 8, 65),
  publicKey("ecdsa-sha2-nistp521", 8, 133),
  publicKey("sk-ssh-ed25519@openssh.com", 32, 4),
  publicKey("sk-ecdsa-sha2-nistp256@openssh.com", 8, 65, 4),
  publicKey("ssh-ed25519-cert-v01@openssh.com", 32, 32, 8, 4, 200),
];
