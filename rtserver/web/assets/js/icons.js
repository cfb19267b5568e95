// Icons, part of the page itself: a file of its own is asked for again with each use, and is missing while offline.

/** @type {Record<string, string>} the content of a `<symbol>` on a grid of 24 */
const SYMBOLS = {
  clip: '<path d="m19 11.500-7.400 7.400a4.500 4.500 0 0 1-6.400-6.400l8-8a3 3 0 0 1 4.300 4.300l-7.900 7.900a1.500 1.500 0 0 1-2.100-2.100l6.900-6.900"/>',
  file: '<path d="M6.500 3.500h7l4 4v13h-11z"/><path d="M13.500 3.500v4h4M9.500 12.500h5M9.500 16h5"/>',
  chat: '<path d="M4 5.500h16v11h-8.500L7 20v-3.500H4z"/><path d="M8 9.500h8M8 12.500h5"/>',
  bell: '<path d="M6 16.500V11a6 6 0 0 1 12 0v5.500l1.500 1.500h-15z"/><path d="M10 20.500a2.200 2.200 0 0 0 4 0"/>',
  gauge: '<path d="M4 17.500a8.500 8.500 0 1 1 16 0"/><path d="m12 15 3.500-5"/><circle cx="12" cy="15.500" r="1"/>',
  send: '<path d="M5 12 4 5l16.500 7L4 19z"/><path d="M5 12h7"/>',
  menu: '<path d="M4.500 7h15M4.500 12h15M4.500 17h15"/>',
  people:
    '<circle cx="9" cy="8.500" r="3"/><path d="M3.500 19c.4-3.300 2.500-5 5.500-5s5.100 1.700 5.500 5"/><path d="M15.500 5.800a3 3 0 0 1 0 5.400M17.500 14.300c1.700.7 2.700 2.300 3 4.700"/>',
  close: '<path d="m6.500 6.500 11 11M17.500 6.500l-11 11"/>',
  plus: '<path d="M12 5.500v13M5.500 12h13"/>',
  check: '<path d="m5 12.500 4.500 4.500L19 7.500"/>',
  trash: '<path d="M5 7h14M10 7V4.500h4V7M7 7l.8 12.500h8.400L17 7M10.500 11v5M13.500 11v5"/>',
  copy: '<path d="M9 9h10.500v10.500H9z"/><path d="M15 9V4.500H4.500V15H9"/>',
  down: '<path d="M12 5.500v13M6.500 13l5.500 5.500 5.500-5.500"/>',
  chevron: '<path d="m7 10 5 5 5-5"/>',
  arrow: '<path d="M5.500 12h13M13 6.500l5.500 5.500-5.500 5.500"/>',
  retry: '<path d="M19 12a7 7 0 1 1-2-5"/><path d="M19 4.500V8h-3.500"/>',
  leave: '<path d="M13 5H5v14h8M10 12h10M16.500 8.500 20 12l-3.500 3.500"/>',
  warning: '<path d="M12 4.500 21 19.500H3z"/><path d="M12 10v4.500M12 17v.1"/>',
  unplug:
    '<path d="m13.500 6.500 4 4-2.500 2.500-4-4zM10.500 9.500 7 13l4 4 3.500-3.500M8.500 15.500 4.500 19.500M16 8l3.500-3.500"/>',
  smile: '<circle cx="12" cy="12" r="8"/><path d="M8.500 14a4.200 4.200 0 0 0 7 0M9.300 9.800v.1M14.700 9.800v.1"/>',
  reply: '<path d="M10 6 4.500 11.500 10 17v-3.500c5 0 7.500 1.500 9.500 5-.500-6-3.500-9-9.500-9z"/>',
  pen: '<path d="m5 19 .8-4L16 4.800l3.200 3.200L9 18.200zM13.500 7.300l3.200 3.200"/>',
  find: '<circle cx="10.500" cy="10.500" r="5.500"/><path d="m14.700 14.700 5 5"/>',
  mute: '<path d="M6 16.500V11a6 6 0 0 1 12 0v5.500l1.500 1.500h-15z"/><path d="M10 20.500a2.200 2.200 0 0 0 4 0M4 4l16 16"/>',
  mega: '<path d="M4 10v4h3.500L17 18.500v-13L7.500 10zM8 14l1.500 5.500h2.500L10.800 15.600M19.500 10.500v3"/>',
};

const symbols = Object.entries(SYMBOLS).map(
  ([name, body]) => `<symbol id="icon-${name}" viewBox="0 0 24 24">${body}</symbol>`,
);
const sprite = `<svg xmlns="http://www.w3.org/2000/svg" class="sprite" aria-hidden="true">${symbols.join("")}</svg>`;
document.body.prepend(new DOMParser().parseFromString(sprite, "image/svg+xml").documentElement);
