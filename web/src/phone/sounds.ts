// What a phone needs of the browser: a bell, and a microphone that may be used.

/** Rings until the returned function is called. Browsers keep still before the page was touched once. */
export function ringing(): () => void {
  const context = new AudioContext();
  const bell = new GainNode(context, { gain: 0 });
  for (const frequency of [440, 480]) {
    const tone = new OscillatorNode(context, { frequency });
    tone.connect(bell);
    tone.start();
  }
  bell.connect(context.destination);
  const ring = () => {
    const now = context.currentTime;
    for (const at of [0, 0.6]) {
      bell.gain.setTargetAtTime(0.12, now + at, 0.02);
      bell.gain.setTargetAtTime(0, now + at + 0.4, 0.02);
    }
  };
  ring();
  const again = setInterval(ring, 3_000);
  return () => {
    clearInterval(again);
    void context.close();
  };
}

/** Why there can be no audio, in words; null when nothing is known to be wrong. */
export function microphoneProblem(error?: unknown): string | null {
  if (!window.isSecureContext || !navigator.mediaDevices) {
    return "Browsers give a microphone only to pages that come by HTTPS or from localhost. Open the console by its https:// address.";
  }
  if (error === undefined) return null;
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") return "This page may not use the microphone. Allow it in the browser, beside the address, and try again.";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "No microphone was found. Plug one in, or choose another below.";
  if (name === "NotReadableError") return "Another program holds the microphone.";
  return "The microphone can't be used.";
}
