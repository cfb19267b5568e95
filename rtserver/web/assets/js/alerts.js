// Alerts: a short sound, and a title that blinks while the tab is hidden.
// Both are muted together; this browser remembers it.
const KEY = "rtserver.muted";
const BLINK = 1200; // ms
const NOTES = [660, 880]; // Hz
const LENGTH = 0.09; // seconds of each

export class Alerts {
  /** @type {AudioContext | null} */
  #audio = null;
  /** @type {number | null} timer of the blinking title */
  #blinking = null;
  #title = "";

  constructor() {
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.#stopBlinking();
    });
  }

  get muted() {
    return readMuted() === "yes";
  }

  toggle() {
    try {
      localStorage.setItem(KEY, this.muted ? "no" : "yes");
    } catch {
      // A browser without storage keeps its present state.
    }
    if (this.muted) this.#stopBlinking();
    return this.muted;
  }

  /**
   * Alert to something new: a sound at once, and `words` in the title while the tab is hidden.
   * @param {string} words
   */
  ring(words) {
    if (this.muted) return;
    this.#beep();
    if (document.visibilityState !== "visible") this.#blink(words);
  }

  /**
   * Make `button` a mute switch; its name, look and pressed state show whether it is on.
   * @param {HTMLElement} button
   */
  control(button) {
    const show = () => {
      button.setAttribute("aria-pressed", String(this.muted));
      button.title = this.muted ? "Sound and title alerts are off" : "Sound and title alerts are on";
    };
    button.addEventListener("click", () => {
      this.toggle();
      show();
    });
    show();
  }

  #beep() {
    if (!navigator.userActivation?.hasBeenActive) return; // browsers keep a page silent until the first interaction
    this.#audio ??= new AudioContext();
    for (const [index, frequency] of NOTES.entries()) {
      playNote(this.#audio, frequency, this.#audio.currentTime + index * LENGTH);
    }
  }

  /** @param {string} words */
  #blink(words) {
    this.#stopBlinking();
    this.#title = document.title;
    let on = false;
    const turn = () => {
      if (!on) this.#title = document.title;
      on = !on;
      document.title = on ? words : this.#title;
    };
    turn();
    this.#blinking = setInterval(turn, BLINK);
  }

  #stopBlinking() {
    if (this.#blinking === null) return;
    clearInterval(this.#blinking);
    this.#blinking = null;
    document.title = this.#title;
  }
}

/** @param {AudioContext} audio @param {number} frequency @param {number} begin seconds, on the clock of `audio` */
function playNote(audio, frequency, begin) {
  const tone = new OscillatorNode(audio, { frequency });
  const volume = new GainNode(audio, { gain: 0.08 });
  volume.gain.exponentialRampToValueAtTime(0.001, begin + LENGTH * 2);
  tone.connect(volume).connect(audio.destination);
  tone.start(begin);
  tone.stop(begin + LENGTH * 2);
}

function readMuted() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
