/** An answer of the server that is not a success. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Reads JSON from the console's interface. Without a session the browser goes to sign in and comes back. */
export async function read<T>(path: string, signal: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`/console/api${path}`, { signal, headers: { accept: "application/json" } });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError(0, "unreachable", "The server does not answer. Is it running?");
  }
  if (response.status === 401) {
    const here = window.location.pathname + window.location.search;
    window.location.assign(`/sign-in?return_to=${encodeURIComponent(here)}`);
  }
  if (!response.ok) throw await failure(response);
  return response.json() as Promise<T>;
}

/** Changes something through the console's interface. `csrf` is the session's token, from `/me`. */
export async function change<T>(method: "POST" | "PUT" | "PATCH" | "DELETE", path: string, csrf: string, body?: unknown): Promise<T> {
  const isText = typeof body === "string";
  let response: Response;
  try {
    response = await fetch(`/console/api${path}`, {
      method,
      headers: {
        accept: "application/json",
        "x-csrf-token": csrf,
        ...(body !== undefined && { "content-type": isText ? "text/plain" : "application/json" }),
      },
      body: body === undefined ? null : isText ? body : JSON.stringify(body),
    });
  } catch {
    throw new ApiError(0, "unreachable", "The server does not answer. Is it running?");
  }
  if (!response.ok) throw await failure(response);
  return (response.status === 202 || response.status === 204 ? undefined : response.json()) as Promise<T>;
}

/** As `change`, for what answers nothing; it asks for the token itself. */
export async function write(method: "POST" | "PUT" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<void> {
  await change<void>(method, path, await token(), body);
}

/** Sends a file as it is, and says how many percent of it are there. */
export async function upload(path: string, file: File, progress: (percent: number) => void): Promise<void> {
  const csrf = await token();
  // fetch doesn't tell how far an upload is.
  await new Promise<void>((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/console/api${path}`);
    request.setRequestHeader("x-csrf-token", csrf);
    request.upload.onprogress = (event) => progress(Math.round((event.loaded / Math.max(1, event.total)) * 100));
    request.onerror = () => reject(new ApiError(0, "unreachable", "The server does not answer. Is it running?"));
    request.onload = () => {
      if (request.status < 300) return resolve();
      failure(new Response(request.responseText, { status: request.status })).then(reject, reject);
    };
    request.send(file);
  });
}

async function token(): Promise<string> {
  const { csrf } = await read<{ csrf: string }>("/me", new AbortController().signal);
  return csrf;
}

async function failure(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  const told = isFailure(body) ? body.error : { code: "internal", message: `The server answered ${response.status}.` };
  return new ApiError(response.status, told.code, told.message);
}

function isFailure(body: unknown): body is { error: { code: string; message: string } } {
  if (typeof body !== "object" || body === null || !("error" in body)) return false;
  const { error } = body;
  return typeof error === "object" && error !== null && "code" in error && "message" in error;
}
