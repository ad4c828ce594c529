/** Random changes of users while a listing is read. */

import { Client, type User, type V1Client } from "../../mod.ts";
import { Fuzzer } from "../faults/fuzzer.ts";
import { StandIn, TestClock } from "../standin/mod.ts";

/**
 * A client of a stand-in in the same process.
 *
 * @param between Called after each response.
 */
export function clientOf(
  standIn: StandIn,
  between: (url: URL) => void | Promise<void> = () => {},
): V1Client {
  return new Client("http://decapod", {
    login: "root",
    password: "root",
    fetch: async (url, init) => {
      const response = await standIn.fetch(url, init);
      await between(new URL(url));
      return response;
    },
  });
}

/** A stand-in whose users are changed at random. */
export class RandomChanges {
  readonly clock = new TestClock();
  readonly standIn: StandIn;
  /** The users that exist. */
  readonly alive = new Map<string, User>();
  /** The ids of edited users: their place in a listing may have changed. */
  readonly edited = new Set<string>();
  /** The ids of users that were created later. */
  readonly created = new Set<string>();
  readonly #client: V1Client;
  readonly #random: Fuzzer;
  #names = 0;

  constructor(seed: number) {
    this.standIn = new StandIn({ now: this.clock.now, seed, servers: 0 });
    this.#client = clientOf(this.standIn);
    this.#random = new Fuzzer(seed + 1);
  }

  static async start(seed: number, users: number): Promise<RandomChanges> {
    const changes = new RandomChanges(seed);
    changes.standIn.seedUsers(users);
    const { items } = await changes.#client.getUsers({ all: true });
    for (const user of items) {
      if (user.data.login !== "root") changes.alive.set(user.id, user);
    }
    return changes;
  }

  /** A client that lists users, who change after each response. */
  busyClient(maxChanges: number): V1Client {
    return clientOf(this.standIn, async ({ pathname }) => {
      if (pathname === "/v1/user/") {
        await this.act(this.#random.below(maxChanges));
      }
    });
  }

  /** Edits users at random. */
  async versions(count: number): Promise<void> {
    for (let made = 0; made < count; made++) await this.#edit();
  }

  /** Creates, deletes or edits users at random. */
  async act(count: number): Promise<void> {
    for (let done = 0; done < count; done++) {
      this.clock.advance(this.#random.below(400));
      const draw = this.#random.below(100);
      if (draw < 35) await this.#create();
      else if (draw < 70) await this.#delete();
      else await this.#edit();
    }
  }

  async #create(): Promise<void> {
    const user = await this.#client.createUser(this.#newUser());
    this.created.add(user.id);
    this.alive.set(user.id, user);
  }

  async #delete(): Promise<void> {
    const { id } = this.#random.pick([...this.alive.values()]);
    await this.#client.deleteUser(id);
    this.alive.delete(id);
  }

  async #edit(): Promise<void> {
    const user = this.#random.pick([...this.alive.values()]);
    const { login, email, fullName } = this.#newUser();
    const data = { ...user.data, login, email, full_name: fullName };
    this.alive.set(user.id, await this.#client.updateUser({ ...user, data }));
    this.edited.add(user.id);
  }

  #newUser() {
    const letter = String.fromCharCode(97 + this.#random.below(26));
    const login = `${letter}${this.#names++}`;
    return { login, email: `${login}@example.com`, fullName: `Name ${login}` };
  }
}
