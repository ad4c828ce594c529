/** What this project imports of std: whoever can load this has it all. */
import "@std/assert";
import "@std/async/delay";
import "@std/yaml";
