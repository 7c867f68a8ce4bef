/** In charge of the department and purpose that each tab of the demo asks as. */

import { type DemoSession, type Example, type Who, chooseWho, identity } from './identity';
import { TAB_OWNERS_KEY } from './storage';
import { either } from './words';

const owners: Record<string, Who> = read();
let next: Who | null = null;

function read(): Record<string, Who> {
  try {
    return JSON.parse(localStorage.getItem(TAB_OWNERS_KEY) ?? '{}') as Record<string, Who>;
  } catch {
    return {};
  }
}

/** The text in the editor for an example: its title as a comment above the query. */
export function exampleText(example: Example): string {
  return `# ${either(example.title, example.titleEn)}\n${example.query.trim()}\n`;
}

export function exampleVariables(example: Example): string {
  const { variables } = example;
  return variables && Object.keys(variables).length > 0 ? JSON.stringify(variables, null, 2) : '';
}

/** The next tab that opens asks as `who`. */
export function ownNextTab(who: Who): void {
  next = who;
}

/** Makes tab `id` ask as `who` from now on, and the page with it. */
export function ownTab(id: string, who: Who): void {
  owners[id] = who;
  localStorage.setItem(TAB_OWNERS_KEY, JSON.stringify(owners));
  chooseWho(who);
}

/** Takes up who the tab asks as: as chosen before, as its example says, or as the tab before it. */
export function enterTab(id: string, query: string | null, open: readonly string[]): void {
  const current = identity.get();
  if (current.mode !== 'demo') {
    return;
  }
  for (const known of Object.keys(owners)) {
    if (!open.includes(known)) {
      delete owners[known];
    }
  }
  const example = current.session.examples.find((one) => exampleText(one) === query);
  const owner = [owners[id], next, example, current.who].find((who) => who != null && exists(who, current.session));
  next = null;
  if (owner) {
    ownTab(id, { department: owner.department, purpose: owner.purpose });
  }
}

function exists(who: Who, session: DemoSession): boolean {
  return (
    session.departments.some((department) => department.key === who.department) &&
    session.purposes.some((purpose) => purpose.code === who.purpose)
  );
}
