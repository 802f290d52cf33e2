// Works with the generated TypeScript client: creates, lists, updates and moves tasks, and is refused; prints what it saw.
import { Configuration, ProblemFromJSON, ResponseError, TasksApi } from "./index";

async function main(): Promise<void> {
  const { TASKBELL_URL: basePath, TASKBELL_TOKEN: accessToken } = process.env;
  const tasks = new TasksApi(new Configuration({ basePath, accessToken }));
  const [first, , third] = [
    await tasks.createTask({ taskCreate: { title: "One" } }),
    await tasks.createTask({ taskCreate: { title: "Two" } }),
    await tasks.createTask({ taskCreate: { title: "Three" } }),
  ];
  const titles: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await tasks.listTasks({ limit: 2, cursor });
    titles.push(...page.items.map((task) => task.title));
    cursor = page.meta.nextCursor ?? undefined;
  } while (cursor !== undefined);
  const answer = await tasks.updateTaskRaw({ taskId: first.id, ifMatch: '"1"', taskPatch: { status: "in_progress" } });
  const updated = await answer.value();
  const moved = await tasks.moveTask({ taskId: first.id, taskMove: { after: third.id } });
  const refusals: [number, string][] = [];
  for (const refused of [
    () => tasks.updateTask({ taskId: first.id, ifMatch: '"1"', taskPatch: { title: "Late" } }),
    () => tasks.getTask({ taskId: crypto.randomUUID() }),
  ]) {
    try {
      await refused();
    } catch (error) {
      if (!(error instanceof ResponseError)) throw error;
      const problem = ProblemFromJSON(await error.response.json());
      refusals.push([problem.status, problem.code]);
    }
  }
  console.log(
    JSON.stringify({
      titles,
      status: updated.status,
      etag: answer.raw.headers.get("ETag"),
      due_at: updated.dueAt,
      moved: [moved.id === first.id, moved.position > third.position],
      order: (await tasks.listTasks()).items.map((task) => task.title),
      refusals,
    }),
  );
}

void main();
