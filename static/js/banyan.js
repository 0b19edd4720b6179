// The one module a page loads. Each file does one thing and finds its elements by data- attributes;
// listeners sit on the document, so that what htmx brings in works as well.
import "./theme.js";
import "./dialogs.js";
import "./menus.js";
import "./toasts.js";
import "./requests.js";
import "./rows.js";
import "./work.js";
import "./keys.js";
import "./search.js";
import "./drafts.js";
import "./swipe.js";
import "./charts.js";
import "./remove.js";
import "./panels.js";
import "./scrolling.js";
import "./amounts.js";
