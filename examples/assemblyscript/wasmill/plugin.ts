import { Answer, done } from "./answer";
import { Event } from "./event";

/** What a plugin says about itself. */
export class About {
  /** The subject patterns it is made for. */
  subjects: string[] = [];
  /** The subject patterns it emits to. */
  emits: string[] = [];

  constructor(
    public name: string,
    public version: string,
    public summary: string,
  ) {}
}

function nothing(_event: Event): Answer {
  return done();
}

export let handler: (event: Event) => Answer = nothing;
export let about: About = new About("", "", "");

/** Makes a function the plugin's handler. To be called once, at the top level of the entry file. */
export function plugin(handle: (event: Event) => Answer, description: About): void {
  handler = handle;
  about = description;
}
