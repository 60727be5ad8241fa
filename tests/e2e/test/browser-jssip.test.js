// JsSIP as it is published, in a real browser.

import { phonesWith } from "../lib/browser-scenes.js";

phonesWith("JsSIP", (n) => `+42190000091${n}`);
