// Works with the generated Go client: creates, lists, updates and moves tasks, and is refused; prints what it saw.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"

	taskbell "github.com/taskbell/client"
)

func must[T any](value T, _ any, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	configuration := taskbell.NewConfiguration()
	configuration.Servers = taskbell.ServerConfigurations{{URL: os.Getenv("TASKBELL_URL")}}
	tasks := taskbell.NewAPIClient(configuration).TasksAPI
	ctx := context.WithValue(context.Background(), taskbell.ContextAccessToken, os.Getenv("TASKBELL_TOKEN"))

	created := []*taskbell.Task{}
	for _, title := range []string{"One", "Two", "Three"} {
		created = append(created, must(tasks.CreateTask(ctx).TaskCreate(*taskbell.NewTaskCreate(title)).Execute()))
	}
	first, third := created[0], created[2]
	titles := []string{}
	for list := tasks.ListTasks(ctx).Limit(2); ; {
		page := must(list.Execute())
		for _, task := range page.Items {
			titles = append(titles, task.Title)
		}
		if page.Meta.NextCursor.Get() == nil {
			break
		}
		list = list.Cursor(*page.Meta.NextCursor.Get())
	}
	change := taskbell.NewTaskPatch()
	change.SetStatus("in_progress")
	updated, answer, err := tasks.UpdateTask(ctx, first.Id).IfMatch(`"1"`).TaskPatch(*change).Execute()
	must(updated, answer, err)
	place := taskbell.NewTaskMove()
	place.SetAfter(third.Id)
	moved := must(tasks.MoveTask(ctx, first.Id).TaskMove(*place).Execute())
	order := []string{}
	for _, task := range must(tasks.ListTasks(ctx).Execute()).Items {
		order = append(order, task.Title)
	}
	refusals := [][]any{}
	late := taskbell.NewTaskPatch()
	late.SetTitle("Late")
	_, _, stale := tasks.UpdateTask(ctx, first.Id).IfMatch(`"1"`).TaskPatch(*late).Execute()
	_, _, unknown := tasks.GetTask(ctx, "01995b7e-6d1c-7c63-a1a4-3d2d6f1c9a10").Execute()
	for _, err := range []error{stale, unknown} {
		var refused *taskbell.GenericOpenAPIError
		if !errors.As(err, &refused) {
			log.Fatal(err)
		}
		problem, isProblem := refused.Model().(taskbell.Problem)
		if !isProblem {
			log.Fatalf("no typed problem: %T", refused.Model())
		}
		refusals = append(refusals, []any{problem.Status, problem.Code})
	}
	told, err := json.Marshal(map[string]any{
		"titles": titles, "status": updated.Status, "etag": answer.Header.Get("ETag"), "due_at": updated.DueAt.Get(),
		"moved": []bool{moved.Id == first.Id, moved.Position > third.Position}, "order": order, "refusals": refusals,
	})
	must(told, nil, err)
	fmt.Println(string(told))
}
