// Sentences that scripts say, written in the reader's language by _shared/toasts.html.
export const word = (name) => document.querySelector("[data-words]")?.dataset[name] ?? "";
