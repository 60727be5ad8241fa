// SIP.js as it is published, in a real browser.

import { phonesWith } from "../lib/browser-scenes.js";

phonesWith("SIP.js", (n) => `+42190000092${n}`);
