/** In charge of taking a table home: the largest list of a result as CSV. */

import type { Result } from './transport';

type Row = Record<string, string>;

/** The longest list of objects in `data`, a connection's `nodes` or `edges { node }` included; null without any. */
export function tableOf(result: Result | null): string | null {
  let best: unknown[] = [];
  const search = (value: unknown): void => {
    if (Array.isArray(value)) {
      if (value.length > best.length && value.some((row) => row !== null && typeof row === 'object')) {
        best = value;
      }
    } else if (value !== null && typeof value === 'object') {
      Object.values(value).forEach(search);
    }
  };
  search(result?.data);
  if (best.length === 0) {
    return null;
  }
  const rows = best.filter((row) => row !== null).map((row) => flatten(onlyNode(row)));
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [columns, ...rows.map((row) => columns.map((column) => row[column] ?? ''))];
  return lines.map((line) => line.map(cell).join(',')).join('\r\n') + '\r\n';
}

function onlyNode(row: unknown): unknown {
  return row !== null && typeof row === 'object' && 'node' in row ? (row as { node: unknown }).node : row;
}

function flatten(value: unknown, prefix = '', row: Row = {}): Row {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    for (const [name, inner] of Object.entries(value)) {
      flatten(inner, prefix ? `${prefix}.${name}` : name, row);
    }
  } else {
    row[prefix || 'value'] = value === null || value === undefined ? '' : Array.isArray(value) ? JSON.stringify(value) : String(value);
  }
  return row;
}

function cell(value: string): string {
  // a value that a spreadsheet would run as a formula is made text; a plain negative number stays one
  const safe = /^[=+\-@\t\r]/.test(value) && !/^-?\d+(\.\d+)?$/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Offers `csv` as a file, with the byte order mark that spreadsheets need to see UTF-8. */
export function saveTable(csv: string, name: string): void {
  const address = URL.createObjectURL(new Blob(['\ufeff', csv], { type: 'text/csv;charset=utf-8' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = `${name}.csv`;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
