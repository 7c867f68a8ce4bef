/** In charge of the requests to `graphql`: headers, one retry after a refused token, event streams. */

import { acceptLanguage, say } from './words';
import { ADDRESS, type Identity, authorization, identity, refused } from './identity';

export interface Operation {
  query: string;
  operationName?: string | null;
  variables?: unknown;
}

export interface Result {
  data?: Record<string, unknown> | null;
  errors?: readonly { message: string; extensions?: Record<string, unknown> }[];
  extensions?: Record<string, unknown>;
}

const JSON_TYPES = 'application/graphql-response+json, application/json;q=0.9';

/** Sends one operation, to its end as the one who `asks`; headers of the caller win over ours, whatever their case. */
async function send(
  operation: Operation,
  accept: string,
  extra: Record<string, unknown>,
  signal?: AbortSignal,
  asks: Identity = identity.get(),
  again = true,
): Promise<Response> {
  const headers = new Headers({
    'Content-Type': 'application/json',
    Accept: accept,
    'Accept-Language': acceptLanguage,
    ...(await authorization(asks)),
  });
  for (const [name, value] of Object.entries(extra)) {
    headers.set(name, String(value));
  }
  const { query, operationName, variables } = operation;
  const body = JSON.stringify({
    query,
    ...(operationName ? { operationName } : {}),
    ...(variables === undefined ? {} : { variables }),
  });
  let response: Response;
  try {
    response = await fetch(ADDRESS.graphql, { method: 'POST', headers, body, ...(signal ? { signal } : {}) });
  } catch {
    throw new Error(say('unreachable'));
  }
  const ours = !Object.keys(extra).some((name) => name.toLowerCase() === 'authorization');
  if (response.status === 401 && ours && refused(asks) && again) {
    return send(operation, accept, extra, signal, asks, false);
  }
  return response;
}

/** One answer of a query or mutation. Raises when the server answers something else than a GraphQL result. */
export async function ask(operation: Operation, extra: Record<string, unknown> = {}): Promise<Result> {
  return readResult(await send(operation, JSON_TYPES, extra));
}

async function readResult(response: Response): Promise<Result> {
  const text = await response.text();
  try {
    const result = JSON.parse(text) as Result | null;
    if (result !== null && typeof result === 'object' && ('data' in result || 'errors' in result)) {
      return result;
    }
  } catch {
    // not JSON: told below
  }
  throw new Error(say('httpError', { status: response.status }));
}

/** The answers of a subscription, as server-sent events (`next`, then `complete`); returning early ends the request. */
export function subscribe(operation: Operation, extra: Record<string, unknown> = {}): AsyncIterableIterator<Result> {
  const stop = new AbortController();
  const events = receive(operation, extra, stop.signal);
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => events.next(),
    return() {
      stop.abort();
      return events.return(undefined);
    },
  };
}

async function* receive(
  operation: Operation,
  extra: Record<string, unknown>,
  signal: AbortSignal,
): AsyncGenerator<Result, undefined> {
  try {
    const response = await send(operation, 'text/event-stream', extra, signal);
    if (!response.headers.get('Content-Type')?.startsWith('text/event-stream') || response.body === null) {
      yield await readResult(response);
      return;
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let pending = '';
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      pending = (pending + chunk.value).replaceAll('\r\n', '\n');
      const events = pending.split('\n\n');
      pending = events.pop() ?? '';
      for (const event of events) {
        const lines = event.split('\n');
        if (lines.includes('event: complete')) {
          return;
        }
        const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trim());
        if (data.some(Boolean)) {
          yield JSON.parse(data.join('\n')) as Result;
        }
      }
    }
  } catch (error) {
    if (!signal.aborted) {
      throw error;
    }
  }
}
