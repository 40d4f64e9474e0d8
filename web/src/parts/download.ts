// Saves bytes that need the token to be fetched, which a plain link could not carry.

import { element } from "./dom";

export function save(bytes: Blob, name: string): void {
  const address = URL.createObjectURL(bytes);
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  // Revoked later, because the browser may start reading only after this turn.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
