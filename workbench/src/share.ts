/** In charge of share classes on the page: read from descriptions, marked in the editor and in the documentation. */

import {
  type GraphQLSchema,
  TypeInfo,
  parse,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import { markdown, useGraphiQL, useMonaco } from '@graphiql/react';
import { useEffect } from 'react';

import { say } from './words';

export type ShareClass = 'UNCONDITIONAL' | 'CONDITIONAL' | 'NOT_SHARED';

const SHARE_CLASSES: readonly string[] = ['UNCONDITIONAL', 'CONDITIONAL', 'NOT_SHARED'];
const HEAD = /^.*? · .*?[`*]+(UNCONDITIONAL|CONDITIONAL|NOT_SHARED)[`*]+/;

/** The class in the first line of a description, `**title** · words \`CLASS\` (article)`; null where there is none. */
export function shareClassOf(description: string | null | undefined): ShareClass | null {
  return ((description && HEAD.exec(description)?.[1]) as ShareClass | undefined) ?? null;
}

/** Renders a share class as a badge wherever GraphiQL shows a description. */
export function badgeShareClasses(): void {
  const inner = markdown.renderer.rules['code_inline'];
  markdown.renderer.rules['code_inline'] = (tokens, index, options, environment, self) => {
    const token = tokens[index];
    if (token && SHARE_CLASSES.includes(token.content)) {
      token.attrSet('class', `share share-${token.content}`);
      token.attrSet('title', say(`share${token.content as ShareClass}`));
    }
    return inner ? inner(tokens, index, options, environment, self) : self.renderToken(tokens, index, options);
  };
}

interface Mark {
  start: number;
  end: number;
  share: ShareClass;
}

/** Where in `query` an item, relation or resource with a share class is selected. */
export function marksIn(query: string, schema: GraphQLSchema): Mark[] {
  let document;
  try {
    document = parse(query);
  } catch {
    return [];
  }
  const marks: Mark[] = [];
  const info = new TypeInfo(schema);
  visit(
    document,
    visitWithTypeInfo(info, {
      Field(node) {
        const share = shareClassOf(info.getFieldDef()?.description);
        const end = node.name.loc?.end;
        if (share && end !== undefined) {
          marks.push({ start: node.loc?.start ?? end, end, share });
        }
      },
    }),
  );
  return marks;
}

/** Writes each selected item's share class behind its name in the query editor. */
export function ShareMarks(): null {
  const schema = useGraphiQL((state) => state.schema);
  const editor = useGraphiQL((state) => state.queryEditor);
  const monaco = useMonaco((state) => state.monaco);
  useEffect(() => {
    const model = editor?.getModel();
    if (!editor || !model || !monaco || !schema) {
      return;
    }
    const decorations = editor.createDecorationsCollection();
    const draw = () => {
      const text = model.getValue();
      const marks = marksIn(text, schema);
      if (marks.length === 0 && isBroken(text)) {
        return; // half-typed: keep the marks of the last whole query
      }
      decorations.set(
        marks.map(({ start, end, share }) => ({
          range: monaco.Range.fromPositions(model.getPositionAt(start), model.getPositionAt(end)),
          options: {
            after: {
              content: `\u00a0${say(`share${share}`).replaceAll(' ', '\u00a0')}\u00a0`,
              inlineClassName: `share-mark share-mark-${share}`,
              inlineClassNameAffectsLetterSpacing: true,
              cursorStops: monaco.editor.InjectedTextCursorStops.None,
            },
            stickiness: monaco.editor.TrackedRangeStickiness.NeverGrowsWhenTypingAtEdges,
          },
        })),
      );
    };
    let timer: number | undefined;
    const listener = model.onDidChangeContent(() => {
      window.clearTimeout(timer);
      timer = window.setTimeout(draw, 150);
    });
    draw();
    return () => {
      window.clearTimeout(timer);
      listener.dispose();
      decorations.clear();
    };
  }, [editor, monaco, schema]);
  return null;
}

function isBroken(query: string): boolean {
  try {
    parse(query);
    return false;
  } catch {
    return true;
  }
}
