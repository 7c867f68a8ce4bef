/** In charge of reading an answer: what was denied and why, which grants, masks and partial fields it reports. */

import { DENIALS, codeInWords } from './codes';
import type { Result } from './transport';

/** What to do about a denial, as `extensions.remedy` says it. */
export interface Remedy {
  words: string;
  /** The mutation that takes the step, and what to pass it. */
  mutation: string | null;
  resource: string | null;
  items: string[];
  relations: string[];
}

/** Errors with the same code, resource, reason and remedy, told once for all their fields. */
export interface Trouble {
  code: string;
  /** True when the law, a grant or the purpose refuses; false for failures. */
  denial: boolean;
  reason: string;
  /** The article in words of the page's language; as it is cited where the answer has no words. */
  article: string | null;
  resource: string | null;
  items: string[];
  fields: string[];
  remedy: Remedy | null;
  requestId: string | null;
}

export interface Notes {
  troubles: Trouble[];
  grants: string[];
  masked: string[];
  partial: string[];
}

export const NO_NOTES: Notes = { troubles: [], grants: [], masked: [], partial: [] };

/** Reads the text of the response pane; anything that is not a GraphQL answer gives no notes. */
export function readNotes(response: string): { notes: Notes; result: Result | null } {
  let result: Result;
  try {
    result = JSON.parse(response) as Result;
  } catch {
    return { notes: NO_NOTES, result: null };
  }
  if (result === null || typeof result !== 'object' || !('data' in result || 'errors' in result)) {
    return { notes: NO_NOTES, result: null };
  }
  const extensions = result.extensions ?? {};
  return {
    notes: {
      troubles: readTroubles(Array.isArray(result.errors) ? result.errors : []),
      grants: strings(extensions['grants']),
      masked: strings(extensions['masked']),
      partial: strings(extensions['partial']),
    },
    result,
  };
}

function readTroubles(errors: NonNullable<Result['errors']>): Trouble[] {
  const groups = new Map<string, Trouble>();
  for (const error of errors) {
    const extensions = error.extensions ?? {};
    const code = text(extensions['code']) ?? '';
    const remedy = readRemedy(extensions['remedy']);
    const trouble: Trouble = {
      code,
      denial: DENIALS.has(code),
      reason: text(extensions['reason']) ?? codeInWords(code) ?? error.message,
      article: text(extensions['articleWords']) ?? text(extensions['article']),
      resource: text(extensions['resource']),
      items: [],
      fields: [],
      remedy,
      requestId: text(extensions['requestId']),
    };
    if (!trouble.denial && !error.message.includes(trouble.reason)) {
      // a failure's message names the value or position that is wrong; a code in words does not
      trouble.reason = extensions['reason'] === undefined ? error.message : `${trouble.reason}: ${error.message}`;
    }
    const key = JSON.stringify([code, trouble.resource, trouble.article, trouble.reason, remedy?.words]);
    const group = groups.get(key) ?? trouble;
    groups.set(key, group);
    if (group.remedy && remedy) {
      remedy.items.forEach((item) => push(group.remedy?.items ?? [], item));
      remedy.relations.forEach((relation) => push(group.remedy?.relations ?? [], relation));
    }
    push(group.items, text(extensions['item']));
    push(group.fields, text(extensions['fieldPath']) ?? text((error as { path?: unknown }).path));
  }
  return [...groups.values()].sort((one, other) => Number(other.denial) - Number(one.denial));
}

function readRemedy(value: unknown): Remedy | null {
  const remedy = (value ?? {}) as Record<string, unknown>;
  const words = text(remedy['words']);
  return words === null
    ? null
    : {
        words,
        mutation: text(remedy['mutation']),
        resource: text(remedy['resource']),
        items: strings(remedy['items']),
        relations: strings(remedy['relations']),
      };
}

/** A string, or the joined parts of a path; null for anything else. */
function text(value: unknown): string | null {
  if (typeof value === 'string') {
    return value || null;
  }
  return Array.isArray(value) && value.length > 0 ? value.join('.') : null;
}

function push(list: string[], value: string | null): void {
  if (value !== null && !list.includes(value)) {
    list.push(value);
  }
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}
