/** In charge of how GraphiQL's editors look and behave: theme, fonts, a way out by keyboard. */

import { pick, useGraphiQL, useGraphiQLActions, useMonaco } from '@graphiql/react';
import { useEffect } from 'react';

import { say } from './words';

/** Escape closes what is open in an editor first. */
const NOTHING_TO_CLOSE = [
  'editorTextFocus',
  '!suggestWidgetVisible',
  '!findWidgetVisible',
  '!parameterHintsVisible',
  '!editorHasSelection',
  '!editorHasMultipleSelections',
  '!editorHoverVisible',
  '!inSnippetMode',
  '!markersNavigationVisible',
  '!referenceSearchVisible',
].join(' && ');

export const EDITOR_THEME = { light: 'tanglai-light', dark: 'tanglai-dark' } as const;

const MONOSPACE =
  'ui-monospace, "Cascadia Mono", "SF Mono", Menlo, Consolas, "Noto Sans Mono", "DejaVu Sans Mono", monospace';

const COLORS = {
  light: { primary: '#0b6e8f', soft: '#0b6e8f1c', widget: '#ffffff', muted: '#3b4b6811' },
  dark: { primary: '#63c7e6', soft: '#63c7e61f', widget: '#1d2836', muted: '#b7c2d711' },
};

function themeColors(theme: 'light' | 'dark'): Record<string, string> {
  const { primary, soft, widget, muted } = COLORS[theme];
  return {
    'editor.background': '#ffffff00',
    'scrollbar.shadow': '#ffffff00',
    'textLink.foreground': primary,
    'textLink.activeForeground': primary,
    'editorLink.activeForeground': primary,
    'editorHoverWidget.background': widget,
    'editorSuggestWidget.background': widget,
    'editorSuggestWidget.selectedBackground': soft,
    'editorSuggestWidget.selectedForeground': primary,
    'editorWidget.background': widget,
    'editorWidget.resizeBorder': primary,
    'list.hoverBackground': soft,
    'list.highlightForeground': primary,
    'list.focusHighlightForeground': primary,
    'menu.background': widget,
    'menu.selectionBackground': soft,
    'menu.selectionForeground': primary,
    'quickInput.background': widget,
    'quickInputList.focusBackground': soft,
    'input.background': muted,
    'toolbar.hoverBackground': soft,
    'inputOption.hoverBackground': soft,
    'pickerGroup.foreground': primary,
    focusBorder: primary,
  };
}

/** Defines our two themes before the first editor is made, and follows the system when it turns light or dark. */
export function EditorTheme(): null {
  const monaco = useMonaco((state) => state.monaco);
  const theme = useGraphiQL((state) => state.theme);
  const { setTheme } = useGraphiQLActions();
  useEffect(() => {
    if (!monaco) {
      return;
    }
    const argument = { light: '#6b4fbb', dark: '#b3a1f5' };
    for (const shade of ['light', 'dark'] as const) {
      monaco.editor.defineTheme(EDITOR_THEME[shade], {
        base: shade === 'light' ? 'vs' : 'vs-dark',
        inherit: true,
        colors: themeColors(shade),
        rules: [{ token: 'argument.identifier.gql', foreground: argument[shade] }],
      });
    }
    setTheme(theme);
    const system = window.matchMedia('(prefers-color-scheme: dark)');
    const follow = () => setTheme(theme);
    system.addEventListener('change', follow);
    return () => system.removeEventListener('change', follow);
  }, [monaco, theme, setTheme]);
  return null;
}

/** Gives each editor our font; Escape hands the focus back to the editor's frame, from where Tab goes on. */
export function EditorOptions(): null {
  const { queryEditor, variableEditor, headerEditor, responseEditor } = useGraphiQL(
    pick('queryEditor', 'variableEditor', 'headerEditor', 'responseEditor'),
  );
  const monaco = useMonaco((state) => state.monaco);
  useEffect(() => {
    showDescriptions(queryEditor);
    for (const editor of [queryEditor, variableEditor, headerEditor, responseEditor]) {
      if (!editor || !monaco) {
        continue;
      }
      editor.updateOptions({
        fontFamily: MONOSPACE,
        fontSize: 14,
        lineHeight: 22,
        fontLigatures: false,
        // full-width punctuation is Chinese text here, not a look-alike attack
        unicodeHighlight: { ambiguousCharacters: false },
        wordWrap: 'on',
        wrappingIndent: 'indent',
        wordBreak: 'keepAll',
      });
      editor.addAction({
        id: 'tanglai-leave',
        label: say('leaveEditor'),
        keybindings: [monaco.KeyCode.Escape],
        precondition: NOTHING_TO_CLOSE,
        run: (left) => left.getContainerDomNode().focus(),
      });
    }
  }, [monaco, queryEditor, variableEditor, headerEditor, responseEditor]);
  return null;
}

/** Unfolds the description, with its share class, next to the fields that are offered while typing. */
function showDescriptions(editor: unknown): void {
  // no option does it: Monaco keeps the choice in a storage that this build does not have
  type Suggestions = { widget?: { value?: { _setDetailsVisible?(visible: boolean): void } } };
  const owner = editor as { getContribution?(id: string): Suggestions | null } | undefined;
  owner?.getContribution?.('editor.contrib.suggestController')?.widget?.value?._setDetailsVisible?.(true);
}
