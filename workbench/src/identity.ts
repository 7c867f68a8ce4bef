/** In charge of who is asking: the demo's departments and tokens, or a token that a person pasted. */

import { Store } from './store';
import { say } from './words';

export interface Department {
  key: string;
  code: string;
  name: string;
  nameEn?: string;
}

export interface Purpose {
  code: string;
  title: string;
  titleEn?: string;
}

export interface Example {
  title: string;
  titleEn?: string;
  department: string;
  purpose: string;
  query: string;
  variables?: Record<string, unknown> | null;
}

/** Answer of `GET demo/session`; the path does not exist in production. */
export interface DemoSession {
  departments: Department[];
  purposes: Purpose[];
  default: Who;
  examples: Example[];
}

/** A department's key and a purpose's code. */
export interface Who {
  department: string;
  purpose: string;
}

/** What a token says of itself; shown only, the server alone verifies it. */
export interface Claims {
  department: string | null;
  client: string | null;
  purposes: string[];
  expires: Date | null;
}

export type Identity =
  | { mode: 'demo'; session: DemoSession; who: Who; problem: string | null }
  | {
      mode: 'token';
      token: string | null;
      claims: Claims | null;
      /** Name of the department as `me` tells it. */
      departmentName: string | null;
      /** Sent as header `Purpose`; empty: the token's own default. */
      purpose: string;
      problem: string | null;
    };

const TOKEN_KEY = 'tanglai:token';
const PURPOSE_KEY = 'tanglai:purpose';
const RENEW_BEFORE_MS = 20_000;

/** Addresses are relative to the page, so that the platform may live under a path of a proxy. */
export const ADDRESS = {
  graphql: new URL('graphql', document.baseURI).href,
  session: new URL('demo/session', document.baseURI).href,
  token: new URL('demo/token', document.baseURI).href,
};

export const identity = new Store<Identity>(tokenIdentity(null, null));

function tokenIdentity(token: string | null, problem: string | null): Identity {
  return {
    mode: 'token',
    token,
    claims: token === null ? null : readClaims(token),
    departmentName: null,
    purpose: '',
    problem,
  };
}

/** Finds out whether this is the demo; otherwise takes up the token pasted earlier in this browser tab. */
export async function loadIdentity(): Promise<Identity> {
  let problem: string | null = null;
  try {
    const response = await fetch(ADDRESS.session, { headers: { Accept: 'application/json' } });
    if (response.status === 200) {
      const session = (await response.json()) as DemoSession;
      identity.set({ mode: 'demo', session, who: session.default, problem: null });
      return identity.get();
    }
    // production: 404, or 204 where nobody wants to see a failed request in the browser's console
    if (response.status !== 404 && response.status !== 204) {
      problem = say('sessionFailed', { reason: `HTTP ${response.status}` });
    }
  } catch {
    problem = say('sessionFailed', { reason: say('unreachable') });
  }
  const stored = tokenIdentity(sessionStorage.getItem(TOKEN_KEY), problem);
  if (stored.mode === 'token') {
    stored.purpose = sessionStorage.getItem(PURPOSE_KEY) ?? '';
  }
  identity.set(stored);
  return stored;
}

/** Takes a pasted token ("Bearer " before it is dropped); null forgets the one in use. */
export function takeToken(text: string | null): void {
  const token = text?.trim().replace(/^bearer\s+/i, '') || null;
  if (token === null) {
    sessionStorage.removeItem(TOKEN_KEY);
  } else {
    sessionStorage.setItem(TOKEN_KEY, token);
  }
  sessionStorage.removeItem(PURPOSE_KEY);
  identity.set(tokenIdentity(token, null));
}

export function choosePurpose(purpose: string): void {
  const current = identity.get();
  if (current.mode === 'token') {
    sessionStorage.setItem(PURPOSE_KEY, purpose);
    identity.set({ ...current, purpose });
  }
}

export function setDepartmentName(token: string, departmentName: string): void {
  const current = identity.get();
  if (current.mode === 'token' && current.token === token) {
    identity.set({ ...current, departmentName });
  }
}

/** Asks as another department or for another purpose of the demo, from the next request on. */
export function chooseWho(who: Who): void {
  const current = identity.get();
  if (current.mode !== 'demo' || sameWho(current.who, who)) {
    return;
  }
  identity.set({ ...current, who, problem: null });
  void demoToken(who).catch(() => undefined);
}

export function sameWho(one: Who, other: Who): boolean {
  return one.department === other.department && one.purpose === other.purpose;
}

/** Headers that say who `asks`; empty without a token, and the server then answers UNAUTHENTICATED. */
export async function authorization(asks: Identity): Promise<Record<string, string>> {
  if (asks.mode === 'demo') {
    return { Authorization: `Bearer ${await demoToken(asks.who)}` };
  }
  const headers: Record<string, string> = {};
  if (asks.token !== null) {
    headers['Authorization'] = `Bearer ${asks.token}`;
    if (asks.purpose) {
      headers['Purpose'] = asks.purpose;
    }
  }
  return headers;
}

/**
 * Reacts to a 401 of a request that `asked` sent; true when a fresh token can be had and the request is worth repeating.
 *
 * The answer may be late: nothing is told of a token that was pasted since.
 */
export function refused(asked: Identity): boolean {
  if (asked.mode === 'demo') {
    tokens.delete(keyOf(asked.who));
    return true;
  }
  const current = identity.get();
  if (current.mode === 'token' && current.token !== null && current.token === asked.token) {
    const expired = current.claims?.expires != null && current.claims.expires.getTime() < Date.now();
    identity.set({ ...current, problem: say(expired ? 'tokenExpired' : 'tokenRefused') });
  }
  return false;
}

interface Lease {
  token: Promise<string>;
  /** By this browser's clock; infinite while the token is being fetched. */
  renewAt: number;
}

const tokens = new Map<string, Lease>();
let renewal: number | undefined;

function keyOf(who: Who): string {
  return JSON.stringify([who.department, who.purpose]);
}

function demoToken(who: Who): Promise<string> {
  const key = keyOf(who);
  const held = tokens.get(key);
  if (held && Date.now() < held.renewAt) {
    return held.token;
  }
  const lease: Lease = { token: Promise.resolve(''), renewAt: Infinity };
  lease.token = fetchToken(who, lease).catch((error: unknown) => {
    tokens.delete(key);
    report(who, say('tokenFailed', { reason: error instanceof Error ? error.message : String(error) }));
    throw error;
  });
  tokens.set(key, lease);
  return lease.token;
}

async function fetchToken(who: Who, lease: Lease): Promise<string> {
  const response = await fetch(ADDRESS.token, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
    body: JSON.stringify({ department: who.department, purpose: who.purpose }),
  });
  if (!response.ok) {
    throw new Error(`HTTP ${response.status}`);
  }
  const answer = (await response.json()) as { token: string; expiresAt: string };
  // the life is taken from the server's two times, so that a wrong clock here does not matter
  const sent = Date.parse(response.headers.get('Date') ?? '') || Date.now();
  const life = Math.max(Date.parse(answer.expiresAt) - sent, 0) || 60_000;
  lease.renewAt = Date.now() + life - Math.min(RENEW_BEFORE_MS, life / 5);
  report(who, null);
  scheduleRenewal(who, lease.renewAt);
  return answer.token;
}

function scheduleRenewal(who: Who, at: number): void {
  window.clearTimeout(renewal);
  const wait = Math.min(Math.max(at - Date.now(), 1_000), 2 ** 31 - 1);
  renewal = window.setTimeout(() => {
    const current = identity.get();
    if (current.mode === 'demo' && sameWho(current.who, who)) {
      tokens.delete(keyOf(who));
      void demoToken(who).catch(() => undefined);
    }
  }, wait);
}

function report(who: Who, problem: string | null): void {
  const current = identity.get();
  if (current.mode === 'demo' && sameWho(current.who, who) && current.problem !== problem) {
    identity.set({ ...current, problem });
  }
}

function readClaims(token: string): Claims | null {
  try {
    const part = token.split('.')[1] ?? '';
    const bytes = Uint8Array.from(atob(part.replace(/-/g, '+').replace(/_/g, '/')), (character) => character.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    const purpose = claims['purpose'];
    return {
      department: typeof claims['dept'] === 'string' ? claims['dept'] : null,
      client: typeof claims['client_id'] === 'string' ? claims['client_id'] : null,
      purposes: Array.isArray(purpose) ? purpose.map(String) : typeof purpose === 'string' ? [purpose] : [],
      expires: typeof claims['exp'] === 'number' ? new Date(claims['exp'] * 1000) : null,
    };
  } catch {
    return null;
  }
}
