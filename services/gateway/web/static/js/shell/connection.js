// The line that says that the server has gone, and that it is back.

import { server } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { say } from "../core/toast.js";

class Connection extends HTMLElement {
  connectedCallback() {
    server.addEventListener("lost", () => {
      replace(
        this,
        h(
          "p",
          { role: "alert" },
          "The server does not answer. What you see stays; the page goes on when the server is back.",
        ),
      );
    });
    server.addEventListener("found", () => {
      replace(this);
      say("The server is back.");
    });
  }
}

customElements.define("ns-connection", Connection);
