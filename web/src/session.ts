// Keeps the token for this tab, and takes one handed over in the address, once.

const KEY = "anamnesis.token";

export const session = {
  token: (): string | null => sessionStorage.getItem(KEY),
  keep: (token: string): void => sessionStorage.setItem(KEY, token),
  forget: (): void => sessionStorage.removeItem(KEY),
};

export function tokenInFragment(fragment: string): string | null {
  const token = new URLSearchParams(fragment.replace(/^#/, "")).get("token")?.trim();
  return token ? token : null;
}

/** Removes the token from the address bar and from this entry of the history. */
export function takeTokenFromAddress(): boolean {
  const token = tokenInFragment(location.hash);
  if (token === null) return false;
  session.keep(token);
  history.replaceState(history.state, "", location.pathname + location.search);
  return true;
}
