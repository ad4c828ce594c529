/** Patterns that show what Python 3.6 can compile and what not. */

/** Patterns that are refused. Decapod drops the whole filter for each. */
export const REFUSED: readonly string[] = [
  ...words(String.raw`
  ( ) (a a) ((a) [ [a [^ [^] [] [z-a] [a-\d] [\w-z] [\8] [\777] *a +a ?a * +
  a** a*+ a++ a?+ a{2}{3} a{2}+ a{2,1} {2} ^* $+ \b* \A? (?:^*) (|*) a|* (*) \
  a\ [\ \p{L} \P{L} \pL \Q \Qa\E \E \z \h \H \R \K \G \X \N \N{DIGIT_ONE}
  \k<n> \k{n} \g1 \g{1} \l \L \y \c \ca \e \i \o{7} \x \x4 \x{41} \u41 \u{41}
  \U0041 \U00110000 \1 (a)\2 (\1) \8 \99 \400 (?P (?P< (?P<n (?P<n>a (?P<>a)
  (?P<1n>a) (?P<n-m>a) (?P<n>a)(?P<n>b) (?P=n) (?P=n (?P=) (?P>n) (?P:a)
  (?<n>a) (?<n (?< (?'n'a) (?>a) (?|a|b) (?R) (?1) (?&n) (?+1) (?C) (?{1}) (??
  (? (?) (?a (?i (?i- (?i-) (?-) (?-i) (?z) (?iz) (?z:a) (?i-i:a) (?i-z:a)
  (?L) (?L:a) (?a:b) (?u:b) (?au) (?i-a:b) (?# (?#a (?= (?=a (?! (?<=a (?<=a*)
  (?<=a+)b (?<=a|bc) (?<!a?) (?<=a{1,2}) (?<=(a)\1) (?<=(a)(?(1)b|cd))
  (?(1)a|b) (?(n)a) (?(0)a) (?(a (?(1) (a)(?(1)b|c|d) (a)(?(-1)b) (a)?(?(2)b)
  a{99999999999} a{4294967295} (?x)( (?x)** ]( (a)) (?x)a\ (?x)[\ [a--b]
  `),
];

/** Patterns that compile. */
export const COMPILED: readonly string[] = [
  ...words(String.raw`
  [[:alpha:]-\d] a a|b | || () (?:) (?:)* (a*)* (?:a*)* (a)+ (?:^)* (?=a)*
  (?!a)? (?<=a)b (?<!a)b (?<=ab|cd)e (?<=(a))b (a)(?<=\1)b (?P<n>a)(?P=n)
  (?P<n>a)(?(n)b|c) (a)?(?(1)b|c) (a)?(?(1)b) (?i)a a(?i) (?i:a)b (?-i:a)
  (?im-sx:a) (?s). (?m)^a$ b ] (?a)\w (?u)\w (?#c)a a(?#c)* . ^a$ ^^ $$ \Aa\Z
  \ba\b \B \d\D\w\W\s\S [\d\D\w\W\s\S] [a-z] [a-] [-a] [a-z-] [^a-z] []a]
  [^]a] [[] [[:alpha:]] [a&&b] [a||b] [\]] [\-] [\b] [\0] [\101] [\x41]
  [\u0041] [\n] \n\t\r\f\v\a \\ \. \- \/ \_ \@ \" \é \0 \01 \012 \101 (a)\1
  (a)\1\1 (a)(b)(c)(d)(e)(f)(g)(h)(i)(j)\10 \x41 \u0041 \U00000041 a{2} a{2,}
  a{,2} a{2,3} a{,} a{} a{ a{a} a{2 a{,2 a{-1} {a} } a} a] a*? a+? a?? a{2}?
  a{2,3}? (?:a){0} (?:a+){0} a{4294967294} x{1,2}y{3} (?x)a# (a|b)*c (?=a|bc)
  (?:a|b(?=c))d
  `),
  "(?x)a#(\n*",
  "(?x)a#\n*",
];

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
