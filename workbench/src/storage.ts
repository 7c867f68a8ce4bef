/** In charge of what GraphiQL may keep in this browser: tabs and history, never request headers. */

/** Where the department and purpose of each tab are kept. */
export const TAB_OWNERS_KEY = 'tanglai:tabs';

/**
 * INVARIANT: no header value reaches `localStorage`. GraphiQL's history stores the headers of a run even when it is told not
 * to persist headers, and a person may have typed a token there.
 */
export const storage = {
  getItem: (key: string): string | null => localStorage.getItem(key),
  setItem(key: string, value: string): void {
    localStorage.setItem(key, withoutHeaders(key, value));
  },
  removeItem: (key: string): void => localStorage.removeItem(key),
  clear(): void {
    for (const key of keys()) {
      localStorage.removeItem(key);
    }
  },
  get length(): number {
    return keys().length;
  },
};

function keys(): string[] {
  return Object.keys(localStorage).filter((key) => key.startsWith('graphiql:') || key === TAB_OWNERS_KEY);
}

function withoutHeaders(key: string, value: string): string {
  if (key.endsWith(':headers')) {
    return '';
  }
  if (!value.includes('"headers"')) {
    return value;
  }
  try {
    // a stored tab without the member would be thrown away as invalid
    const nothing = key.endsWith(':tabState') ? null : undefined;
    return JSON.stringify(JSON.parse(value), (name, inner: unknown) => (name === 'headers' ? nothing : inner));
  } catch {
    return '';
  }
}

/** True when GraphiQL has no tabs from an earlier visit. */
export function isFirstVisit(): boolean {
  try {
    return !localStorage.getItem('graphiql:tabState');
  } catch {
    return true;
  }
}
