export { byExitCode as checkPublished } from "./runner.ts";
