import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// In development the app comes from Vite and everything else from a server on its usual port.
const server = "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  build: { target: "es2023" },
  server: {
    host: "127.0.0.1",
    proxy: { "/console": server, "/sign-in": server, "/sign-out": server, "/setup": server },
  },
});
