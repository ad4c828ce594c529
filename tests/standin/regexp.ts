/**
 * Python's regular expressions in JavaScript: what filters and schemas use.
 *
 * Read by every Python 3, and not here: conditions such as `(?(1)a|b)`, and
 * `\\W` within a class.
 */

const WORD = "\\p{L}\\p{N}_";
const DIGIT = "\\p{Nd}";
const SPACE = "\\s\\x1c-\\x1f\\x85";

/** What stands for many characters: within a class, and by itself. */
const CLASSES: Record<string, { inside?: string; outside: string }> = {
  w: { inside: WORD, outside: `[${WORD}]` },
  W: { outside: `[^${WORD}]` },
  d: { inside: DIGIT, outside: `[${DIGIT}]` },
  D: { inside: "\\P{Nd}", outside: "\\P{Nd}" },
  s: { inside: SPACE, outside: `[${SPACE}]` },
  S: { inside: "\\S", outside: `[^${SPACE}]` },
};

const EDGE = `(?<=[${WORD}])(?![${WORD}])|(?<![${WORD}])(?=[${WORD}])`;

const ANCHORS: Record<string, string> = {
  A: "(?<![^])",
  Z: "(?![^])",
  b: `(?:${EDGE})`,
  B: `(?!${EDGE})`,
};

const CONTROLS: Record<string, string> = {
  a: "\\x07",
  f: "\\f",
  n: "\\n",
  r: "\\r",
  t: "\\t",
  v: "\\v",
};

/**
 * Compiles a Python regular expression. Throws a SyntaxError where Python or
 * JavaScript cannot read it.
 */
export function pythonRegExp(pattern: string): RegExp {
  return new Translation(pattern).compile();
}

class Translation {
  readonly pattern: string;
  #at = 0;
  #out = "";
  #ignoreCase = false;
  #multiline = false;
  #dotAll = false;
  #verbose = false;

  constructor(pattern: string) {
    this.pattern = pattern;
  }

  compile(): RegExp {
    const flags = /^\(\?([aiLmsux]+)\)/.exec(this.pattern);
    if (flags) {
      this.#setFlags(flags[1] ?? "");
      this.#at = flags[0].length;
    }
    while (this.#at < this.pattern.length) this.#step();
    return new RegExp(this.#out, this.#ignoreCase ? "ui" : "u");
  }

  #setFlags(flags: string): void {
    if (flags.includes("L")) this.#fail("flag L is for bytes");
    this.#ignoreCase ||= flags.includes("i");
    this.#multiline ||= flags.includes("m");
    this.#dotAll ||= flags.includes("s");
    this.#verbose ||= flags.includes("x");
  }

  #fail(why: string): never {
    throw new SyntaxError(`Cannot read the pattern: ${why} at ${this.#at}`);
  }

  #take(count = 1): string {
    const text = this.pattern.slice(this.#at, this.#at + count);
    this.#at += count;
    return text;
  }

  #takeMatch(form: RegExp): RegExpExecArray | null {
    form.lastIndex = this.#at;
    const match = form.exec(this.pattern);
    if (match) this.#at += match[0].length;
    return match;
  }

  #step(): void {
    const char = this.pattern[this.#at] ?? "";
    if (this.#verbose && /\s/.test(char)) this.#at++;
    else if (this.#verbose && char === "#") this.#takeMatch(/#[^\n]*/y);
    else if (char === "\\") this.#out += this.#escape(false);
    else if (char === "[") this.#class();
    else if (char === "(") this.#group();
    else if (char === ".") this.#one(this.#dotAll ? "[^]" : "[^\\n]");
    else if (char === "$") {
      this.#one(this.#multiline ? "(?=\\n|(?![^]))" : "(?=\\n?(?![^]))");
    } else if (char === "^") {
      this.#one(this.#multiline ? "(?<=\\n|(?<![^]))" : "^");
    } else if (char === "{") {
      this.#out += this.#takeMatch(/\{\d+(?:,\d*)?\}/y)?.[0] ??
        this.#takeMatch(/\{,(\d+)\}/y)?.[0].replace("{", "{0") ??
        (this.#at++, "\\{");
    } else if (char === "}" || char === "]") this.#one(`\\${char}`);
    else this.#out += this.#takeMatch(/[^]/uy)?.[0] ?? "";
  }

  #one(replacement: string): void {
    this.#at++;
    this.#out += replacement;
  }

  #escape(inClass: boolean): string {
    this.#at++;
    const char = this.#takeMatch(/[^]/uy)?.[0] ?? this.#fail("bare backslash");
    const kind = CLASSES[char];
    if (kind) {
      if (!inClass) return kind.outside;
      return kind.inside ?? this.#fail(`\\${char} in a class`);
    }
    if (!inClass && ANCHORS[char]) return ANCHORS[char];
    if (inClass && char === "b") return "\\x08";
    if (CONTROLS[char]) return CONTROLS[char];
    if (char === "x") return this.#codePoint(/[\da-fA-F]{2}/y);
    if (char === "u") return this.#codePoint(/[\da-fA-F]{4}/y);
    if (char === "U") return this.#codePoint(/[\da-fA-F]{8}/y);
    if (char === "0" || (inClass && /\d/.test(char))) {
      this.#at -= 1;
      const octal = this.#takeMatch(/[0-7]{1,3}/y)?.[0] ??
        this.#fail("bad octal");
      return `\\u{${parseInt(octal, 8).toString(16)}}`;
    }
    if (/[1-9]/.test(char)) {
      return `(?:\\${char}${this.#takeMatch(/\d/y)?.[0] ?? ""})`;
    }
    if (/[a-zA-Z]/.test(char)) return this.#fail(`bad escape \\${char}`);
    return literal(char);
  }

  #codePoint(form: RegExp): string {
    const digits = this.#takeMatch(form)?.[0] ?? this.#fail("bad escape");
    return `\\u{${digits}}`;
  }

  #class(): void {
    this.#at++;
    let body = "[";
    if (this.pattern[this.#at] === "^") {
      body += "^";
      this.#at++;
    }
    // Python takes a bracket that comes first for itself.
    if (this.pattern[this.#at] === "]") {
      body += "\\]";
      this.#at++;
    }
    for (;;) {
      const char = this.pattern[this.#at];
      if (char === undefined) this.#fail("unterminated class");
      if (char === "]") break;
      if (char === "\\") body += this.#escape(true);
      else if (char === "[") body += (this.#at++, "\\[");
      else body += this.#takeMatch(/[^]/uy)?.[0] ?? "";
    }
    this.#at++;
    this.#out += `${body}]`;
  }

  #group(): void {
    if (this.#takeMatch(/\(\?#[^)]*\)/y)) return;
    const name = this.#takeMatch(/\(\?P<([^>]+)>/y);
    if (name) {
      this.#out += `(?<${name[1]}>`;
      return;
    }
    const backReference = this.#takeMatch(/\(\?P=([^)]+)\)/y);
    if (backReference) {
      this.#out += `\\k<${backReference[1]}>`;
      return;
    }
    const extension = this.#takeMatch(/\(\?(?:<?[=!]|:)/y);
    if (extension) {
      this.#out += extension[0];
      return;
    }
    const scoped = this.#takeMatch(/\(\?([aimsux]*)(-[imsx]+)?:/y);
    if (scoped) {
      const on = (scoped[1] ?? "").replace(/[aux]/g, "");
      this.#out += on || scoped[2] ? `(?${on}${scoped[2] ?? ""}:` : "(?:";
      return;
    }
    if (this.pattern.startsWith("(?", this.#at)) {
      this.#fail("unknown extension");
    }
    this.#out += this.#take();
  }
}

function literal(char: string): string {
  return /[\^$\\.*+?()[\]{}|/-]/.test(char)
    ? `\\u{${char.codePointAt(0)?.toString(16)}}`
    : char;
}
