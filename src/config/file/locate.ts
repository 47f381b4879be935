// SPDX-License-Identifier: Apache-2.0

/**
 * Finds the lines of a TOML document on which its keys are set; the parser gives none. The text
 * must already have been accepted by the parser: on anything else the lines may be wrong, but the
 * scan still ends, as each step moves forward.
 *
 * @returns 1-based lines by dotted key; tables are there as well as the keys in them. Where a key
 * has parts with dots in them, the parts are joined all the same.
 */
export function locateKeys(document: string): Map<string, number> {
  return new KeyScanner(document).scan();
}

class KeyScanner {
  private readonly document: string;
  private readonly lines = new Map<string, number>();
  private position = 0;
  private line = 1;

  constructor(document: string) {
    this.document = document;
  }

  scan(): Map<string, number> {
    let table: string[] = [];
    for (;;) {
      this.skipBlank();
      if (this.position >= this.document.length) return this.lines;
      if (this.peek() === "[") table = this.readHeader();
      else this.readAssignment(table);
    }
  }

  private peek(offset = 0): string {
    return this.document[this.position + offset] ?? "";
  }

  private advance(count = 1): void {
    for (let i = 0; i < count && this.position < this.document.length; i++) {
      if (this.document[this.position++] === "\n") this.line++;
    }
  }

  /** Moves over white space, newlines, commas and comments. */
  private skipBlank(): void {
    for (;;) {
      if (this.peek() === "#") this.skipLine();
      else if (this.peek() !== "" && " \t\r\n,\ufeff".includes(this.peek())) this.advance();
      else return;
    }
  }

  private skipLine(): void {
    while (this.peek() !== "\n" && this.peek() !== "") this.advance();
  }

  private readHeader(): string[] {
    while (this.peek() === "[") this.advance();
    const table = this.readKey("]");
    this.note(table, this.line);
    this.skipLine();
    return table;
  }

  /** `table` is undefined inside of arrays, whose tables have no names. */
  private readAssignment(table: readonly string[] | undefined): void {
    const line = this.line;
    const parts = this.readKey("=");
    const key = table === undefined ? undefined : [...table, ...parts];
    if (key !== undefined) this.note(key, line);
    this.advance();
    this.skipValue(key);
  }

  /** Reads the parts of a key, and stops at `end` or where the line ends. */
  private readKey(end: string): string[] {
    const parts: string[] = [];
    let bare = "";
    for (;;) {
      const char = this.peek();
      if (char === '"' || char === "'") parts.push(this.readString());
      else if (char === "" || char === "\n" || char === end || char === ".") {
        if (bare.trim() !== "") parts.push(bare.trim());
        bare = "";
        if (char !== ".") return parts;
        this.advance();
      } else {
        bare += char;
        this.advance();
      }
    }
  }

  /** Moves over a string and gives its content, with the simple escapes left as they are. */
  private readString(): string {
    const quote = this.peek();
    const isLong = this.peek(1) === quote && this.peek(2) === quote;
    const end = isLong ? quote.repeat(3) : quote;
    this.advance(end.length);
    const start = this.position;
    while (this.position < this.document.length && !this.document.startsWith(end, this.position)) {
      this.advance(quote === '"' && this.peek() === "\\" ? 2 : 1);
    }
    const content = this.document.slice(start, this.position);
    this.advance(end.length);
    // Up to two quotes may stand right before the end of a long string.
    while (isLong && this.peek() === quote) this.advance();
    return content;
  }

  private skipValue(key: readonly string[] | undefined): void {
    this.skipSpaces();
    const char = this.peek();
    if (char === '"' || char === "'") this.readString();
    else if (char === "[") this.skipArray();
    else if (char === "{") this.readInlineTable(key);
    else while (!"#,]}\n".includes(this.peek()) && this.peek() !== "") this.advance();
  }

  private skipSpaces(): void {
    while (this.peek() === " " || this.peek() === "\t") this.advance();
  }

  private skipArray(): void {
    this.advance();
    for (;;) {
      this.skipBlank();
      if (this.peek() === "]" || this.peek() === "") {
        this.advance();
        return;
      }
      const before = this.position;
      this.skipValue(undefined);
      if (this.position === before) this.advance();
    }
  }

  private readInlineTable(key: readonly string[] | undefined): void {
    this.advance();
    for (;;) {
      this.skipBlank();
      if (this.peek() === "}" || this.peek() === "") {
        this.advance();
        return;
      }
      const before = this.position;
      this.readAssignment(key);
      if (this.position === before) this.advance();
    }
  }

  private note(key: readonly string[], line: number): void {
    const dotted = key.join(".");
    if (!this.lines.has(dotted)) this.lines.set(dotted, line);
  }
}
