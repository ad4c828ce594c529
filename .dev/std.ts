/** All packages of std that this project imports. */
import "@std/assert";
import "@std/async/delay";
import "@std/yaml";
