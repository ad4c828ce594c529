/** Other people, who create, edit and delete users while a list is read. */

import { Client, type User, type V1Client } from "../../mod.ts";
import { seededRandom } from "../standin/ids.ts";
import { StandIn, TestClock } from "../standin/mod.ts";

/** What is asked of the server between two answers. */
export type Between = (url: URL) => void | Promise<void>;

/** A client of a stand-in in the same process, with something between. */
export function clientOf(
  standIn: StandIn,
  between: Between = () => {},
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

/** A stand-in with users, and somebody who does not leave them alone. */
export class Churn {
  readonly clock = new TestClock();
  readonly standIn: StandIn;
  /** The users that nobody has deleted. */
  readonly alive = new Map<string, User>();
  /** The ids of those whose place in a list may have changed. */
  readonly edited = new Set<string>();
  /** The ids of those who came later. */
  readonly created = new Set<string>();
  readonly #client: V1Client;
  readonly #random: () => number;
  #names = 0;

  constructor(seed: number) {
    this.standIn = new StandIn({ now: this.clock.now, seed, servers: 0 });
    this.#client = clientOf(this.standIn);
    this.#random = seededRandom(seed + 1);
  }

  static async start(seed: number, users: number): Promise<Churn> {
    const churn = new Churn(seed);
    churn.standIn.seedUsers(users);
    const { items } = await churn.#client.getUsers({ all: true });
    for (const user of items) {
      if (user.data.login !== "root") churn.alive.set(user.id, user);
    }
    return churn;
  }

  /** Makes so many versions of users at random. */
  async versions(count: number): Promise<void> {
    for (let made = 0; made < count; made++) await this.#edit();
  }

  /** Lets so many things happen at random. */
  async act(count: number): Promise<void> {
    for (let done = 0; done < count; done++) {
      this.clock.advance(this.#random() * 400);
      const chance = this.#random();
      if (chance < 0.35) await this.#create();
      else if (chance < 0.7) await this.#delete();
      else await this.#edit();
    }
  }

  /** A number from 0, less than the given one. */
  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  async #create(): Promise<void> {
    const user = await this.#client.createUser(this.#person());
    this.created.add(user.id);
    this.alive.set(user.id, user);
  }

  async #delete(): Promise<void> {
    const { id } = this.#any();
    await this.#client.deleteUser(id);
    this.alive.delete(id);
  }

  async #edit(): Promise<void> {
    const user = this.#any();
    const { login, email, fullName } = this.#person();
    const data = { ...user.data, login, email, full_name: fullName };
    this.alive.set(user.id, await this.#client.updateUser({ ...user, data }));
    this.edited.add(user.id);
  }

  #any(): User {
    const place = this.below(this.alive.size);
    const user = [...this.alive.values()][place];
    if (user === undefined) throw new Error("Cannot choose: nobody is left");
    return user;
  }

  #person() {
    const login = `${String.fromCharCode(97 + this.below(26))}${this.#names++}`;
    return { login, email: `${login}@example.com`, fullName: `Name ${login}` };
  }
}
