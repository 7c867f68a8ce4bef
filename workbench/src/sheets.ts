/**
 * In charge of style sheets that libraries write into `<style>` elements, so that the policy needs no inline ones.
 *
 * Monaco's theme and the dialogs' scroll lock set the text of a `<style>`, which `style-src 'self'` refuses. Their text goes
 * into a constructed style sheet instead, which the document or shadow tree adopts as long as the element is in it. The
 * element itself stays empty; the policy allows empty ones by their hash, since rules are also added to them one by one.
 */

interface Filled {
  sheet: CSSStyleSheet;
  adopter: DocumentOrShadowRoot | null;
}

const filled = new Map<HTMLStyleElement, Filled>();

function write(style: HTMLStyleElement, text: string): void {
  let entry = filled.get(style);
  if (!entry) {
    entry = { sheet: new CSSStyleSheet(), adopter: null };
    filled.set(style, entry);
    adopt(style);
  }
  entry.sheet.replaceSync(text);
}

function read(style: HTMLStyleElement): string {
  return [...(filled.get(style)?.sheet.cssRules ?? [])].map((rule) => rule.cssText).join('\n');
}

function adopt(style: HTMLStyleElement): void {
  const entry = filled.get(style);
  if (entry && entry.adopter === null && style.isConnected) {
    entry.adopter = style.getRootNode() as Document | ShadowRoot;
    entry.adopter.adoptedStyleSheets = [...entry.adopter.adoptedStyleSheets, entry.sheet];
  }
}

function drop(style: HTMLStyleElement): void {
  const entry = filled.get(style);
  if (entry && !style.isConnected) {
    if (entry.adopter) {
      entry.adopter.adoptedStyleSheets = entry.adopter.adoptedStyleSheets.filter((sheet) => sheet !== entry.sheet);
    }
    filled.delete(style);
  }
}

for (const property of ['textContent', 'innerText'] as const) {
  Object.defineProperty(HTMLStyleElement.prototype, property, {
    configurable: true,
    get(this: HTMLStyleElement) {
      return read(this);
    },
    set(this: HTMLStyleElement, text: string | null) {
      write(this, text ?? '');
    },
  });
}

HTMLStyleElement.prototype.appendChild = function appendChild<T extends Node>(this: HTMLStyleElement, node: T): T {
  write(this, read(this) + (node.textContent ?? ''));
  return node;
};

const observer = new MutationObserver((changes) => {
  for (const { addedNodes, removedNodes } of changes) {
    addedNodes.forEach((node) => node instanceof HTMLStyleElement && adopt(node));
    removedNodes.forEach((node) => node instanceof HTMLStyleElement && drop(node));
  }
});
observer.observe(document, { childList: true, subtree: true });

const attachShadow = Element.prototype.attachShadow;
Element.prototype.attachShadow = function observed(this: Element, init: ShadowRootInit): ShadowRoot {
  const root = attachShadow.call(this, init);
  observer.observe(root, { childList: true, subtree: true });
  return root;
};
