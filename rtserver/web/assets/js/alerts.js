// Owns how a page calls for attention: a short sound, and a title that blinks while the tab is hidden. Muted together,
// which this browser remembers.
const KEY = "rtserver.muted";
const BLINK = 1200; // ms
const NOTES = [660, 880]; // Hz
const LENGTH = 0.09; // seconds of each

export class Alerts {
  #audio = null;
  #blinking = null;
  #title = "";

  constructor() {
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#calm());
  }

  get muted() {
    return remembered() === "yes";
  }

  toggle() {
    try {
      localStorage.setItem(KEY, this.muted ? "no" : "yes");
    } catch {
      // A browser that keeps nothing stays as loud as it was.
    }
    if (this.muted) this.#calm();
    return this.muted;
  }

  /** Something new, in words: heard at once, and seen in the title as long as nobody looks. */
  ring(words) {
    if (this.muted) return;
    this.#beep();
    if (document.visibilityState !== "visible") this.#blink(words);
  }

  /** A button that mutes, told apart by its name, its look and its pressed state. */
  control(button) {
    const show = () => {
      button.setAttribute("aria-pressed", String(this.muted));
      button.title = this.muted ? "Sound and title alerts are off" : "Sound and title alerts are on";
    };
    button.addEventListener("click", () => (this.toggle(), show()));
    show();
  }

  #beep() {
    if (!navigator.userActivation?.hasBeenActive) return; // browsers keep a page silent that nobody has touched
    this.#audio ??= new AudioContext();
    NOTES.forEach((frequency, at) => this.#note(frequency, this.#audio.currentTime + at * LENGTH));
  }

  #note(frequency, begin) {
    const tone = new OscillatorNode(this.#audio, { frequency });
    const volume = new GainNode(this.#audio, { gain: 0.08 });
    volume.gain.exponentialRampToValueAtTime(0.001, begin + LENGTH * 2);
    tone.connect(volume).connect(this.#audio.destination);
    tone.start(begin);
    tone.stop(begin + LENGTH * 2);
  }

  #blink(words) {
    this.#calm();
    this.#title = document.title;
    let on = false;
    const turn = () => {
      if (!on) this.#title = document.title;
      document.title = (on = !on) ? words : this.#title;
    };
    turn();
    this.#blinking = setInterval(turn, BLINK);
  }

  #calm() {
    if (this.#blinking === null) return;
    clearInterval(this.#blinking);
    this.#blinking = null;
    document.title = this.#title;
  }
}

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
