declare module 'virtual:monaco-words' {
  /** Monaco's English messages and their Chinese. */
  const words: Record<string, string>;
  export default words;
}

declare module '*.js?worker' {
  const WorkerOf: new () => Worker;
  export default WorkerOf;
}

// eslint-disable-next-line no-var
declare var MonacoEnvironment: { getWorker(id: string, label: string): Worker };
// eslint-disable-next-line no-var
declare var monacoWords: Record<string, string> | null;
