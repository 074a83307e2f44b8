// Shows the progress of an import as the server reports it, and its result when it has ended. The line #news is for people
// who do not see the screen: its text changes with the sentence, not with every count.
const panel = document.querySelector("[data-events]");
if (panel) {
    const announce = (text) => {
        const news = document.querySelector("#news");
        if (news.textContent !== text) news.textContent = text;
    };
    const events = new EventSource(panel.dataset.events);
    events.addEventListener("progress", ({ data }) => {
        const progress = JSON.parse(data);
        for (const element of panel.querySelectorAll("[data-show]")) {
            const value = progress[element.dataset.show];
            if (element.matches("progress")) element.value = value;
            else element.textContent = value;
        }
        announce(progress.sentence);
    });
    events.addEventListener("end", ({ data }) => {
        events.close();
        const main = document.querySelector("main");
        main.innerHTML = data;
        announce(main.querySelector(".lead, [role=alert] h2")?.textContent.trim() ?? "");
    });
}
